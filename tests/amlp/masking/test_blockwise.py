import pytest
import torch

from amlp.config import BlockwiseMaskingConfig
from amlp.errors import ConfigError
from amlp.masking import BlockwiseMasking, RandomMasking
from amlp.masking.blockwise import block_shapes, cover_time
from amlp.patches import PatchGrid

GRID = PatchGrid(6, 7, 4)


def slow_cover_time(noise, shapes, grid):
    """Lay the blocks one after the other."""
    n = grid.num_patches
    times = torch.full((len(noise), n), float(n))
    for image, row in enumerate(noise.tolist()):
        order = sorted(range(n), key=lambda i: (row[i], i), reverse=True)
        for turn, corner in enumerate(order):
            height, width = shapes[int(row[corner] * 4096 % 1 * len(shapes))]
            top, left = divmod(corner, grid.columns)
            if top + height > grid.rows or left + width > grid.columns:
                continue
            for y in range(top, top + height):
                for x in range(left, left + width):
                    cell = y * grid.columns + x
                    times[image, cell] = min(times[image, cell], float(turn))
    return times


def test_cover_time_equals_that_of_blocks_laid_one_by_one():
    noise = torch.rand(5, GRID.num_patches, generator=torch.Generator().manual_seed(1))
    shapes = block_shapes(BlockwiseMaskingConfig(), GRID)

    time = cover_time(noise, shapes, GRID)

    assert torch.equal(time, slow_cover_time(noise, shapes, GRID))


@pytest.mark.parametrize("max_aspect", [1.0, 2.0, 3.0])
def test_blocks_keep_to_the_smallest_area_and_the_largest_aspect(max_aspect):
    config = BlockwiseMaskingConfig(min_patches=5, max_aspect=max_aspect)

    shapes = block_shapes(config, PatchGrid(14, 14, 16))

    assert all(height * width >= 5 for height, width in shapes)
    assert all(max(h / w, w / h) <= max_aspect for h, w in shapes)


@pytest.mark.parametrize("num_masked", [1, 10, 30, 41])
def test_every_row_has_the_given_number_of_masked_patches(num_masked):
    masking = BlockwiseMasking(BlockwiseMaskingConfig(), 4)

    mask = masking(torch.zeros(8, 1, 24, 28), num_masked, torch.Generator().manual_seed(0))

    assert mask.masked.sum(dim=1).tolist() == [num_masked] * 8


def test_masked_patches_have_more_masked_neighbours_than_at_random():
    images = torch.zeros(64, 1, 56, 56)

    def touching(masking):
        masked = masking(images, 78, torch.Generator().manual_seed(0)).masked.view(-1, 14, 14)
        return (masked[:, 1:] & masked[:, :-1]).sum()

    blocks = touching(BlockwiseMasking(BlockwiseMaskingConfig(), 4))

    assert blocks > 1.5 * touching(RandomMasking(4))


def test_same_number_of_draws_is_taken_as_by_random_masking():
    images, generators = torch.zeros(2, 1, 24, 24), [torch.Generator().manual_seed(0) for _ in "ab"]

    RandomMasking(4)(images, 9, generators[0])
    BlockwiseMasking(BlockwiseMaskingConfig(), 4)(images, 9, generators[1])

    assert torch.equal(generators[0].get_state(), generators[1].get_state())


def test_grid_that_no_block_fits_is_refused():
    with pytest.raises(ConfigError, match=r"no block of at least 16 patches .* 2 x 2 patches"):
        block_shapes(BlockwiseMaskingConfig(min_patches=16), PatchGrid(2, 2, 16))
