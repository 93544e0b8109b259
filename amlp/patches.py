"""Patches of an image and masks over them: the one place that knows their layout.

Convention: patches are numbered row by row; a patch vector is ordered (row, column, channel) as in
MAE; a mask is `True` where a patch is masked, that is, removed from the encoder's input.
"""

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from amlp.errors import ConfigError


class PatchGrid(NamedTuple):
    """Layout of the patches of one image: `rows` x `columns` patches of `patch_size` pixels."""

    rows: int
    columns: int
    patch_size: int

    @classmethod
    def of(cls, images: Float[Tensor, "b c h w"], patch_size: int) -> "PatchGrid":
        """Return the grid that covers `images`.

        Raises:
            ConfigError: height or width is not a multiple of the patch size.
        """
        height, width = images.shape[-2:]
        if height % patch_size or width % patch_size:
            raise ConfigError(
                f"image of {height} x {width} pixels is not a multiple of patch_size {patch_size}"
            )
        return cls(height // patch_size, width // patch_size, patch_size)

    @property
    def num_patches(self) -> int:
        """Number of patches n of one image."""
        return self.rows * self.columns


class PatchMask(NamedTuple):
    """A mask with the categories it was drawn from.

    Attributes:
        masked: True where a patch is removed; every row has the same number of True.
        lesion: True where patch selection saw a lesion; all False for random masking.
        score: the selection's confidence in [0, 1]; all 0 for random masking.
        degenerate: images in which no category could be told apart; they are masked at random.
    """

    masked: Bool[Tensor, "b n"]
    lesion: Bool[Tensor, "b n"]
    score: Float[Tensor, "b n"]
    degenerate: Bool[Tensor, " b"]


def patchify(images: Float[Tensor, "b c h w"], patch_size: int) -> Float[Tensor, "b n d"]:
    """Cut images into flat patches, d = patch_size * patch_size * c, in MAE's order.

    Raises:
        ConfigError: height or width is not a multiple of the patch size.
    """
    grid = PatchGrid.of(images, patch_size)
    b, c = images.shape[:2]
    cells = images.reshape(b, c, grid.rows, patch_size, grid.columns, patch_size)
    return cells.permute(0, 2, 4, 3, 5, 1).reshape(b, grid.num_patches, -1)


def unpatchify(patches: Float[Tensor, "b n d"], grid: PatchGrid) -> Float[Tensor, "b c h w"]:
    """Put flat patches back together: the exact inverse of `patchify`."""
    b, _, d = patches.shape
    p = grid.patch_size
    c = d // (p * p)
    cells = patches.reshape(b, grid.rows, grid.columns, p, p, c)
    return cells.permute(0, 5, 1, 3, 2, 4).reshape(b, c, grid.rows * p, grid.columns * p)
