import pytest
import torch

from amlp.errors import ConfigError
from amlp.patches import PatchGrid, patchify, unpatchify


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_unpatchify_undoes_patchify(channels):
    images = torch.randn(2, channels, 8, 12)

    restored = unpatchify(patchify(images, 4), PatchGrid.of(images, 4))

    assert torch.equal(restored, images)


def test_patch_values_are_ordered_row_column_channel():
    images = torch.arange(2 * 4 * 4.0).view(1, 2, 4, 4)

    patches = patchify(images, 2)

    # second patch: upper right corner, pixels (0, 2) (0, 3) (1, 2) (1, 3), both channels of each
    assert patches[0, 1].tolist() == [2, 18, 3, 19, 6, 22, 7, 23]


def test_patches_are_numbered_row_by_row():
    images = torch.zeros(1, 1, 4, 6)
    images[0, 0, 2:, :2] = 1

    patches = patchify(images, 2)

    assert patches.sum(dim=2).tolist() == [[0, 0, 0, 4, 0, 0]]


def test_image_that_patches_do_not_cover_is_refused():
    images = torch.zeros(1, 1, 10, 8)

    with pytest.raises(ConfigError, match="10 x 8 pixels is not a multiple of patch_size 4"):
        patchify(images, 4)


def test_grid_counts_its_patches():
    grid = PatchGrid.of(torch.zeros(1, 1, 8, 12), 4)

    assert (grid.rows, grid.columns, grid.num_patches) == (2, 3, 6)
