"""Sheets of pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from amlp.engine import display_tile, heat_tile, histogram_tile, tint, write_sheet

WHITE = np.full((10, 20, 3), 255, dtype=np.uint8)


def test_a_sheet_has_a_row_and_column_for_every_tile(tmp_path: Path) -> None:
    write_sheet(tmp_path / "a.png", [[WHITE] * 3] * 2, titles=("a", "b", "c"))
    write_sheet(tmp_path / "b.png", [[WHITE] * 3] * 4, titles=("a", "b", "c"), captions="wxyz")

    with Image.open(tmp_path / "a.png") as small, Image.open(tmp_path / "b.png") as large:
        assert small.width == large.width == 3 * 192 + 4 * 8
        assert large.height > 1.9 * small.height


def test_one_channel_is_grey_and_three_are_colours() -> None:
    ramp = np.linspace(0, 1, 4, dtype=np.float32).reshape(1, 2, 2)

    grey = display_tile(ramp, window=(0.0, 1.0))
    colour = display_tile(np.concatenate([ramp, 0 * ramp, 0 * ramp]), window=(0.0, 1.0))

    assert grey[..., 0].tolist() == [[0, 85], [170, 255]]
    assert (grey == grey[..., :1]).all()
    assert colour[1, 1].tolist() == [255, 0, 0]


def test_values_outside_the_window_are_clipped() -> None:
    assert display_tile(np.array([[[-9.0, 9.0]]], dtype=np.float32), window=(0.0, 1.0)).max() == 255


def test_tint_colours_the_pixels_it_is_told() -> None:
    where = np.zeros((10, 20), dtype=np.bool_)
    where[0, 0] = True

    tinted = tint(WHITE, where, (255, 0, 0), 1.0)

    assert tinted[0, 0].tolist() == [255, 0, 0]
    assert tinted[1, 1].tolist() == [255, 255, 255]


def test_heat_rises_from_black_over_red_to_white() -> None:
    heat = heat_tile(np.array([[0.0, 1 / 3, 2 / 3, 1.0, 2.0]], dtype=np.float32), highest=1.0)

    assert heat[0].tolist() == [[0, 0, 0], [255, 0, 0], [255, 255, 0], [255] * 3, [255] * 3]


def test_no_error_at_all_is_black() -> None:
    assert heat_tile(np.zeros((2, 2), dtype=np.float32), highest=0.0).max() == 0


@pytest.mark.parametrize("values", [[], [0.0, 1.0], [0.5] * 10])
def test_a_histogram_is_a_tile(values: list[float]) -> None:
    assert histogram_tile(values).shape == (192, 192, 3)
