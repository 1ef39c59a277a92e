"""The networks that draw the curves, their weights, and files of weights."""
