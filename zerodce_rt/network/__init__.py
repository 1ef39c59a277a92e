"""The two curve-estimation networks, our weights for them, and reading and writing weights."""
