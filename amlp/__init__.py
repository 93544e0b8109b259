"""Self-supervised masked image modelling for medical segmentation, after arXiv 2309.04312."""

__version__ = "0.1.0"
