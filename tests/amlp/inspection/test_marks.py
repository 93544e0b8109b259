"""Text, callipers and colour over an image."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from amlp.inspection.marks import find_marks
from amlp.phantom import generate_phantom


def phantom(seed=0, size=256):
    return generate_phantom(np.random.default_rng(seed), size).pixels


def drawn(draw, *, seed=0, mode="L"):
    picture = Image.fromarray(phantom(seed)).convert(mode)
    draw(ImageDraw.Draw(picture))
    return np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1)


def plus(canvas, x, y, fill):
    canvas.line((x - 4, y, x + 4, y), fill=fill)
    canvas.line((x, y - 4, x, y + 4), fill=fill)


@pytest.mark.parametrize("seed", range(6))
def test_tissue_alone_has_no_marks(seed) -> None:
    assert not any(find_marks(phantom(seed)[None]))


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_line_of_text_is_found(seed) -> None:
    font = ImageFont.load_default(12)
    pixels = drawn(lambda canvas: canvas.text((20, 230), "BREAST LEFT 3", 255, font), seed=seed)

    assert find_marks(pixels).text


@pytest.mark.parametrize("seed", range(1, 5))
def test_two_crosses_are_callipers_and_no_text(seed) -> None:
    def draw(canvas):
        plus(canvas, 60, 150, 255)
        plus(canvas, 170, 120, 255)

    found = find_marks(drawn(draw, seed=seed))

    assert found.callipers
    assert not found.text


def test_coloured_marks_on_a_grey_picture_are_found() -> None:
    pixels = drawn(lambda canvas: canvas.ellipse((80, 80, 120, 120), outline="yellow"), mode="RGB")

    assert find_marks(pixels).colour


def test_a_colour_photograph_has_no_coloured_marks() -> None:
    pixels = np.stack([phantom(0), phantom(0) // 3, phantom(0) // 4])

    assert not find_marks(pixels).colour


@pytest.mark.parametrize("value", [0, 255])
def test_a_constant_image_has_no_marks(value) -> None:
    assert not any(find_marks(np.full((3, 40, 40), value, dtype=np.uint8)))
