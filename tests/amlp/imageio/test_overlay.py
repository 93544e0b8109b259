import numpy as np
import pytest

from amlp.imageio.image import MedicalImage
from amlp.imageio.overlay import LABEL_COLOURS, draw_overlay, thumbnail, to_display


def test_without_labels_the_image_is_unchanged(rng):
    image = rng.integers(0, 256, (3, 8, 9), dtype=np.uint8)

    drawn = draw_overlay(image, np.zeros((8, 9), np.uint8))

    np.testing.assert_array_equal(drawn, image.transpose(1, 2, 0))


def test_the_inside_is_blended_and_the_outline_is_opaque():
    labels = np.zeros((7, 7), np.uint8)
    labels[1:6, 1:6] = 1

    drawn = draw_overlay(np.full((1, 7, 7), 100, np.uint8), labels, alpha=0.5)

    assert drawn[3, 3].tolist() == [165, 130, 50]
    assert drawn[1, 3].tolist() == LABEL_COLOURS[0].tolist()
    assert drawn[0, 0].tolist() == [100, 100, 100]


def test_touching_labels_are_told_apart_by_their_outlines():
    labels = np.ones((6, 6), np.uint8)
    labels[:, 3:] = 2

    drawn = draw_overlay(np.zeros((1, 6, 6), np.uint8), labels, alpha=0.0)

    assert drawn[3, 2].tolist() == LABEL_COLOURS[0].tolist()
    assert drawn[3, 3].tolist() == LABEL_COLOURS[1].tolist()


@pytest.mark.parametrize("label", [1, 7, 8, 255])
def test_every_label_has_a_colour(label):
    drawn = draw_overlay(np.zeros((1, 3, 3), np.uint8), np.full((3, 3), label, np.uint8), alpha=1.0)

    assert drawn[1, 1].tolist() == LABEL_COLOURS[(label - 1) % 7].tolist()


def test_bytes_are_displayed_as_they_are(rng):
    pixels = rng.integers(0, 256, (1, 8, 9), dtype=np.uint8)

    assert to_display(pixels) is pixels


def test_modality_values_are_windowed_without_their_extremes():
    pixels = np.linspace(0, 1000, 10_000, dtype=np.float32)
    pixels[0], pixels[-1] = -1e6, 1e6

    shown = to_display(pixels)

    assert int(shown[5000]) == pytest.approx(127, abs=1)
    assert (shown.min(), shown.max()) == (0, 255)


def test_a_constant_image_is_displayed():
    assert to_display(np.full((1, 4, 4), -1024, np.float32)).max() == 0


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_thumbnail_keeps_the_aspect(channels):
    image = MedicalImage(np.zeros((channels, 5, 100, 400), np.uint8))

    assert thumbnail(image, side=100).size == (100, 25)


def test_a_thumbnail_shows_the_middle_slice():
    pixels = np.zeros((1, 5, 8, 8), np.uint8)
    pixels[:, 2] = 200

    assert thumbnail(MedicalImage(pixels)).getpixel((4, 4)) == 200
