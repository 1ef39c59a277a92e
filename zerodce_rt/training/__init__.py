"""Training the networks, on photographs alone. Needs torch."""
