"""The live picture: a camera, a stream or a file, brightened while it plays."""

# Before PyAV, which the modules of this room import: both bring a libxcb, and OpenCV's windows
# wait forever inside PyAV's. Whoever imports any of them has come through here first.
import cv2  # noqa: F401
