"""Networks compiled by TensorRT: through torch-tensorrt, and TensorRT for RTX cards."""
