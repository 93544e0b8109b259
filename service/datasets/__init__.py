"""Data sets: uploads, canonical files, frozen versions."""
