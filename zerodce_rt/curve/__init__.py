"""The idea: tone curves, drawn small and applied large. NumPy only."""
