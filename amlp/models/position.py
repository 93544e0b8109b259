"""Fixed two-dimensional sine-cosine positions of patches."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from amlp.errors import GeometryMismatch

_LONGEST_PERIOD = 10_000.0


def sincos_position(rows: int, columns: int, dim: int) -> Float[Tensor, "n d"]:
    """Return the position of each patch, row by row; `dim` must be a multiple of 4.

    The first half of d tells the column and the second half the row, each as all sines, then all
    cosines, of the coordinate times 10000^(-i / (d / 4)).

    Source: Vaswani et al. 2017, arXiv 1706.03762, in two dimensions with the order of MAE (He et
    al. 2022, arXiv 2111.06377), so that its weights fit.
    """
    row, column = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64),
        torch.arange(columns, dtype=torch.float64),
        indexing="ij",
    )
    halves = [_sincos(column.flatten(), dim // 2), _sincos(row.flatten(), dim // 2)]
    return torch.cat(halves, dim=1).float()


def resize_position(
    position: Float[Tensor, "1 t d"], rows: int, columns: int
) -> Float[Tensor, "1 u d"]:
    """Interpolate positions (the CLS token's first) of a square grid to another grid, bicubically.

    Raises:
        GeometryMismatch: the number of patches is no square.
    """
    old = position.shape[1] - 1
    side = round(old**0.5)
    if side * side != old:
        raise GeometryMismatch(f"positions of {old} patches, expected those of a square grid")
    if (rows, columns) == (side, side):
        return position
    cls, patches = position[:, :1], position[:, 1:]
    grid = patches.mT.reshape(1, -1, side, side).float()
    resized = functional.interpolate(
        grid, size=(rows, columns), mode="bicubic", align_corners=False
    )
    return torch.cat([cls, resized.flatten(2).mT.to(cls)], dim=1)


def _sincos(coordinate: Float[Tensor, " n"], dim: int) -> Float[Tensor, "n d"]:
    frequency = _LONGEST_PERIOD ** (-torch.arange(dim // 2, dtype=torch.float64) / (dim / 2))
    angle = torch.outer(coordinate, frequency)
    return torch.cat([angle.sin(), angle.cos()], dim=1)
