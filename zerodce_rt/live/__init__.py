"""The live picture: a camera, a stream or a file, brightened while it plays."""
