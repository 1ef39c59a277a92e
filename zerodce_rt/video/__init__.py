"""A video from file to file: in one piece, or in segments that several workers share."""
