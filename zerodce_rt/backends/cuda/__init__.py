"""A frame's whole way on an NVIDIA GPU. Needs PyTorch and Triton; imported where it is used."""
