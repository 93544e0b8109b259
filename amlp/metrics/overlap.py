"""Overlap of label maps, from counts, so that slices of a volume add up."""

import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor


def confusion_counts(
    predicted: UInt8[Tensor, "b h w"], truth: UInt8[Tensor, "b h w"], *, num_classes: int
) -> Int64[Tensor, "b k 3"]:
    """Return (TP, FP, FN) pixels of each class but the background, k = num_classes - 1."""
    labels = torch.arange(1, num_classes, device=truth.device, dtype=torch.uint8)
    inside = predicted.flatten(1)[:, None] == labels[:, None]  # (b, k, p)
    actual = truth.flatten(1)[:, None] == labels[:, None]
    return torch.stack(
        [(inside & actual).sum(2), (inside & ~actual).sum(2), (~inside & actual).sum(2)], dim=2
    )


def dice(counts: Int64[Tensor, "*n 3"]) -> Float64[Tensor, "*n"]:
    """Return 2 TP / (2 TP + FP + FN); 1 where prediction and truth are both empty."""
    tp, fp, fn = counts.double().unbind(-1)
    return torch.where(tp + fp + fn == 0, 1.0, 2 * tp / (2 * tp + fp + fn))


def sensitivity(counts: Int64[Tensor, "*n 3"]) -> Float64[Tensor, "*n"]:
    """Return TP / (TP + FN); NaN (undefined) where only the truth is empty, 1 where both are."""
    tp, fp, fn = counts.double().unbind(-1)
    return torch.where(tp + fp + fn == 0, 1.0, tp / (tp + fn))


def positive_predictive_value(counts: Int64[Tensor, "*n 3"]) -> Float64[Tensor, "*n"]:
    """Return TP / (TP + FP); 0 where only the prediction is empty, 1 where both are."""
    tp, fp, fn = counts.double().unbind(-1)
    value = torch.where(tp + fp == 0, 0.0, tp / (tp + fp))
    return torch.where(tp + fp + fn == 0, 1.0, value)
