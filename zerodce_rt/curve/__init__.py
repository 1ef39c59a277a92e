"""Tone curves: estimated on a thumbnail, applied at full size. Plain NumPy."""
