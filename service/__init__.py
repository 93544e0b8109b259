"""The HTTP service: data sets in, jobs run, segmentations out."""
