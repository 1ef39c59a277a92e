"""Runs the PTX that Triton compiles on the CPU, and watches what its threads do to memory."""
