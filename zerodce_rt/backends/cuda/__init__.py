"""Frames enhanced on an NVIDIA GPU, from upload to download. Needs PyTorch and Triton."""
