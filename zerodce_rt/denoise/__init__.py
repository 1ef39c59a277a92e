"""What is noise in a dark video, and how it is taken away: the rules, in plain NumPy."""
