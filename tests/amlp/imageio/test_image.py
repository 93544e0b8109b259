import numpy as np
import pytest

from amlp.errors import GeometryMismatch, UnreadableImage
from amlp.imageio.image import MedicalImage, is_grey

GREY = np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)


@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4), (1, 0, 3, 4)])
def test_pixels_must_be_c_z_y_x(shape):
    with pytest.raises(UnreadableImage, match=r"expected \(c, z, y, x\)"):
        MedicalImage(np.zeros(shape, np.uint8))


def test_sizes_are_named():
    image = MedicalImage(GREY)

    assert (image.channels, image.num_slices, image.size) == (1, 2, (3, 4))


def test_grey_stored_as_colour_becomes_grey():
    image = MedicalImage(np.repeat(GREY, 3, axis=0), modality="US").as_channels(1)

    np.testing.assert_array_equal(image.pixels, GREY)
    assert image.modality == "US"


def test_grey_is_repeated_for_colour_and_says_so():
    image = MedicalImage(GREY).as_channels(3)

    np.testing.assert_array_equal(image.pixels, np.repeat(GREY, 3, axis=0))
    assert image.warnings == ("grey was repeated in three channels",)


def test_the_same_number_of_channels_changes_nothing():
    image = MedicalImage(GREY)

    assert image.as_channels(1) is image


@pytest.mark.parametrize(("channels", "asked"), [(1, 4), (2, 1), (3, 4)])
def test_other_numbers_of_channels_are_refused(channels, asked):
    image = MedicalImage(np.repeat(GREY, channels, axis=0))

    with pytest.raises(GeometryMismatch, match=f"has {channels} channels, expected {asked}"):
        image.as_channels(asked)


def test_real_colour_is_not_grey():
    colour = np.repeat(GREY, 3, axis=0)
    colour[2, 1, 2, 3] += 1

    assert not is_grey(colour)
    with pytest.raises(GeometryMismatch):
        MedicalImage(colour).as_channels(1)
