"""Predictions: an image in, its label map out, in the form the client asks for."""
