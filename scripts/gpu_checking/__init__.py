"""What ``scripts/gpu_check.py`` consists of."""
