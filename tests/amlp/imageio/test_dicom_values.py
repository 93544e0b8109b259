import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from amlp.errors import UnreadableImage
from amlp.imageio.reader import read_image

PLANE = np.arange(80, dtype=np.uint16).reshape(1, 8, 10)


def test_rescale_gives_modality_values(dicom_file):
    image = read_image(dicom_file(PLANE, RescaleSlope=2, RescaleIntercept=-1024))

    np.testing.assert_array_equal(image.pixels[0], PLANE * 2.0 - 1024)


def test_each_frame_is_rescaled_with_its_own_numbers(dicom_file):
    groups = []
    for slope in (1, 10):
        transformation, group = Dataset(), Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept = slope, 5
        group.PixelValueTransformationSequence = Sequence([transformation])
        groups.append(group)
    values = np.repeat(PLANE, 2, axis=0)

    image = read_image(dicom_file(values, PerFrameFunctionalGroupsSequence=Sequence(groups)))

    np.testing.assert_array_equal(image.pixels[0, 0], PLANE[0] + 5.0)
    np.testing.assert_array_equal(image.pixels[0, 1], PLANE[0] * 10.0 + 5)


def test_a_slope_of_0_is_refused_by_name(dicom_file):
    with pytest.raises(UnreadableImage, match="RescaleSlope is 0"):
        read_image(dicom_file(PLANE, RescaleSlope=0, RescaleIntercept=0))


@pytest.mark.parametrize(("bits", "expected"), [(16, 65535), (12, 4095)])
def test_unsigned_monochrome1_is_mirrored_at_its_stored_bits(dicom_file, bits, expected):
    path = dicom_file(
        PLANE, PhotometricInterpretation="MONOCHROME1", BitsStored=bits, HighBit=bits - 1
    )

    image = read_image(path)

    np.testing.assert_array_equal(image.pixels[0], expected - PLANE.astype(np.float32))
    assert "MONOCHROME1 was inverted" in image.warnings[0]


def test_signed_monochrome1_is_mirrored_around_zero(dicom_file):
    values = np.arange(-40, 40, dtype=np.int16).reshape(1, 8, 10)

    image = read_image(dicom_file(values, PhotometricInterpretation="MONOCHROME1"))

    np.testing.assert_array_equal(image.pixels[0], -1.0 - values)


def test_8_bit_monochrome1_stays_a_picture(dicom_file):
    image = read_image(dicom_file(PLANE.astype(np.uint8), PhotometricInterpretation="MONOCHROME1"))

    np.testing.assert_array_equal(image.pixels[0], 255 - PLANE.astype(np.uint8))
    assert image.pixels.dtype == np.uint8


def test_padding_pixels_become_the_smallest_real_value(dicom_file):
    values = PLANE.astype(np.int16) + 100
    values[0, 0, :3] = -2000

    image = read_image(
        dicom_file(values, PixelPaddingValue=-2000, RescaleSlope=1, RescaleIntercept=-10)
    )

    assert image.pixels[0, 0, 0, :4].tolist() == [93, 93, 93, 93]
    assert "padding" in image.warnings[0]


def test_a_picture_of_nothing_but_padding_is_left_alone(dicom_file):
    values = np.full((1, 8, 10), 7, np.uint16)

    image = read_image(dicom_file(values, PixelPaddingValue=7))

    assert image.warnings == ()


def test_colour_comes_back_channel_first(dicom_file, rng):
    values = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
    path = dicom_file(
        values[None, ..., 0],
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        PixelData=values.tobytes(),
    )

    np.testing.assert_array_equal(read_image(path).pixels[:, 0], values.transpose(2, 0, 1))


def test_a_palette_is_applied(dicom_file):
    indices = (PLANE % 2).astype(np.uint8)
    tables = {
        f"{colour}PaletteColorLookupTableData": np.array([0, level], "<u2").tobytes()
        for colour, level in (("Red", 0x1200), ("Green", 0x3400), ("Blue", 0x5600))
    }
    descriptors = {
        f"{colour}PaletteColorLookupTableDescriptor": [2, 0, 16]
        for colour in ("Red", "Green", "Blue")
    }

    image = read_image(
        dicom_file(indices, PhotometricInterpretation="PALETTE COLOR", **tables, **descriptors)
    )

    assert image.pixels[:, 0, 0, 1].tolist() == [0x12, 0x34, 0x56]


def test_a_rescale_beyond_float_range_is_refused(dicom_file):
    with pytest.raises(UnreadableImage):
        read_image(dicom_file(PLANE, RescaleSlope="1e300", RescaleIntercept=0))
