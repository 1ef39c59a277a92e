"""Reading and writing video. Nothing in here knows of networks."""
