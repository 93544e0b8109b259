"""Distance between surfaces of label maps, by MONAI."""

import math
import warnings

import torch
from jaxtyping import Bool
from monai.metrics import compute_hausdorff_distance
from torch import Tensor


def hausdorff95(
    predicted: Bool[Tensor, "z y x"],
    truth: Bool[Tensor, "z y x"],
    *,
    spacing_mm: tuple[float, float, float] | None,
) -> float:
    """Return the larger of both directions' 95th percentile of surface distances.

    In mm where the spacing (z, y, x) is known, otherwise in pixels; NaN (undefined) where either
    is empty. A single slice is measured in its plane.
    """
    if not predicted.any() or not truth.any():
        return math.nan
    spacing = spacing_mm or (1.0, 1.0, 1.0)
    planar = predicted.shape[0] == 1
    first, second = (m[0] if planar else m for m in (predicted, truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI calls its own deprecated option
        distance = compute_hausdorff_distance(
            first[None, None].float(),
            second[None, None].float(),
            include_background=True,
            percentile=95,
            spacing=list(spacing[1:] if planar else spacing),
        )
    return float(torch.as_tensor(distance))
