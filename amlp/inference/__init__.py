"""Prediction with a trained segmenter: the one door through which the service reaches torch."""

from amlp.inference.predictor import Prediction, Predictor
from amlp.inference.segment import segment_slices

__all__ = ["Prediction", "Predictor", "segment_slices"]
