"""Blockwise masking: rectangles of neighbouring patches."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from amlp.config import BlockwiseMaskingConfig
from amlp.errors import ConfigError
from amlp.masking.noise import by_falling_noise, draw_noise
from amlp.masking.random_masking import without_categories
from amlp.patches import PatchGrid, PatchMask

_AREA_FACTORS = (1, 2, 4)  # areas of blocks, in units of the smallest
_NUM_ASPECTS = 5
_SHAPE_BITS = 4096  # noise has 24 bits: the upper 12 order the blocks, the lower 12 shape them


class BlockwiseMasking:
    """Lays blocks in random order until enough patches are covered; the last block may be cut.

    Source: after Bao et al. 2021, arXiv 2106.08254, algorithm 1. Deviation: block shapes come from
    a short list and all blocks are laid at once, so no loop over blocks or images is needed.
    """

    def __init__(self, config: BlockwiseMaskingConfig, patch_size: int) -> None:
        self.config = config
        self.patch_size = patch_size

    @torch.no_grad()
    def __call__(
        self, images: Float[Tensor, "b c h w"], num_masked: int, generator: torch.Generator
    ) -> PatchMask:
        """Mask the `num_masked` patches that the earliest blocks cover.

        Raises:
            ConfigError: not even the smallest block fits the grid.
        """
        grid = PatchGrid.of(images, self.patch_size)
        shapes = block_shapes(self.config, grid)
        noise = draw_noise(images, self.patch_size, generator)
        order = by_falling_noise(noise)
        time = cover_time(noise, shapes, grid)
        earliest = time.gather(1, order).argsort(dim=1, stable=True)[:, :num_masked]
        masked = torch.zeros_like(noise, dtype=torch.bool)
        masked.scatter_(1, order.gather(1, earliest), value=True)
        return without_categories(masked)


def block_shapes(config: BlockwiseMaskingConfig, grid: PatchGrid) -> list[tuple[int, int]]:
    """Return the (height, width) of every kind of block that fits, in patches.

    Raises:
        ConfigError: none fits.
    """
    turn = math.log(config.max_aspect)
    aspects = [math.exp(turn * (2 * i / (_NUM_ASPECTS - 1) - 1)) for i in range(_NUM_ASPECTS)]
    shapes = set()
    for area in (factor * config.min_patches for factor in _AREA_FACTORS):
        heights = [math.ceil(math.sqrt(area * aspect)) for aspect in aspects]
        shapes |= {(height, math.ceil(area / height)) for height in heights}
        shapes.add((math.ceil(math.sqrt(area)),) * 2)
    fitting = [
        (height, width)
        for height, width in sorted(shapes)
        if height <= grid.rows
        and width <= grid.columns
        and max(height / width, width / height) <= config.max_aspect
    ]
    if not fitting:
        raise ConfigError(
            f"no block of at least {config.min_patches} patches and aspect {config.max_aspect} "
            f"fits a grid of {grid.rows} x {grid.columns} patches"
        )
    return fitting


def cover_time(
    noise: Float[Tensor, "b n"], shapes: list[tuple[int, int]], grid: PatchGrid
) -> Float[Tensor, "b n"]:
    """Return the turn at which a block first covers each patch, n where none ever does.

    Every patch is the upper left corner of one block; corners of large noise come first.
    """
    b, n = noise.shape
    turn = torch.empty_like(noise)
    turn.scatter_(
        1, by_falling_noise(noise), torch.arange(n, device=noise.device).expand(b, n).to(noise)
    )
    turn = turn.view(b, grid.rows, grid.columns)
    kind = (noise * _SHAPE_BITS).frac().mul(len(shapes)).long().view_as(turn)
    time = torch.full_like(turn, n)
    for index, (height, width) in enumerate(shapes):
        corners = turn.masked_fill((kind != index) | ~_fits(height, width, grid, noise), n)
        padded = functional.pad(-corners, (width - 1, 0, height - 1, 0), value=-n)
        time = torch.minimum(time, -functional.max_pool2d(padded, (height, width), stride=1))
    return time.view(b, n)


def _fits(height: int, width: int, grid: PatchGrid, like: Tensor) -> Bool[Tensor, "rows columns"]:
    rows = torch.arange(grid.rows, device=like.device) <= grid.rows - height
    columns = torch.arange(grid.columns, device=like.device) <= grid.columns - width
    return rows[:, None] & columns
