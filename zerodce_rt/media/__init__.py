"""Reading and writing videos and pictures. Nothing here knows of networks or curves."""
