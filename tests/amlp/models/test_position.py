import math

import pytest
import torch

from amlp.errors import GeometryMismatch
from amlp.models.position import resize_position, sincos_position


def test_positions_equal_those_of_a_loop():
    rows, columns, dim = 3, 4, 8

    position = sincos_position(rows, columns, dim)

    for row in range(rows):
        for column in range(columns):
            expected = []
            for coordinate in (column, row):
                angles = [coordinate / 10000 ** (i / (dim / 4)) for i in range(dim // 4)]
                expected += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            assert position[row * columns + column].tolist() == pytest.approx(expected, abs=1e-6)


def test_positions_are_all_different():
    position = sincos_position(14, 14, 64)

    assert (torch.cdist(position, position) + torch.eye(196) * 9).min() > 0.1


def test_resizing_to_the_same_grid_changes_nothing():
    position = torch.randn(1, 17, 8)

    assert resize_position(position, 4, 4) is position


def test_resized_positions_keep_the_class_token_and_interpolate_the_rest():
    position = torch.zeros(1, 17, 2)
    position[0, 0] = 5
    position[0, 1:, 0] = torch.arange(4.0).repeat(4)  # the column

    resized = resize_position(position, 8, 8)

    assert resized.shape == (1, 65, 2)
    assert resized[0, 0].tolist() == [5, 5]
    columns = resized[0, 1:, 0].view(8, 8)
    torch.testing.assert_close(columns, columns[:1].expand(8, 8))
    assert (columns[0].diff() > 0).all()


def test_positions_of_a_grid_that_is_not_square_are_refused():
    with pytest.raises(GeometryMismatch, match="12 patches"):
        resize_position(torch.zeros(1, 13, 8), 4, 4)
