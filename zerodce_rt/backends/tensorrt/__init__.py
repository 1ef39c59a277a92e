"""The networks compiled to TensorRT engines: by torch-tensorrt, and by TensorRT for RTX."""
