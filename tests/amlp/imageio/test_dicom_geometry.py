import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from amlp.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from amlp.imageio.reader import read_image

PLANE = np.arange(80, dtype=np.uint16).reshape(1, 8, 10)


def ultrasound_region(units: int = 3) -> Dataset:
    region = Dataset()
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = units
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.05, 0.02
    return region


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"Rows": 0}, "0 x 10"),
        ({"Rows": 16}, "160 bytes, expected 320"),
        ({"Rows": 4}, "160 bytes, expected 80"),
        ({"PixelData": b""}, "0 bytes, expected 160"),
        ({"BitsAllocated": None}, "BitsAllocated is absent"),
        ({"BitsAllocated": 12}, "BitsAllocated is 12"),
        ({"BitsStored": 20}, "BitsStored is 20"),
        ({"SamplesPerPixel": 2}, "SamplesPerPixel is 2, expected 1 for MONOCHROME2"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "no palette"),
        ({"Columns": None}, "Columns is absent"),
    ],
)
def test_contradictions_are_named(dicom_file, attributes, message):
    with pytest.raises(UnreadableImage, match=message):
        read_image(dicom_file(PLANE, **attributes))


@pytest.mark.parametrize(
    "attributes", [{"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 10**9}]
)
def test_huge_claims_are_refused_before_the_length_is_compared(dicom_file, attributes):
    with pytest.raises(ImageTooLarge):
        read_image(dicom_file(PLANE, **attributes))


def test_an_unknown_photometric_interpretation_is_refused(dicom_file):
    with pytest.raises(UnsupportedImage, match="PhotometricInterpretation"):
        read_image(dicom_file(PLANE, PhotometricInterpretation="HSV"))


def test_spacing_follows_the_array_order(dicom_file):
    image = read_image(dicom_file(PLANE, PixelSpacing=[0.5, 0.25], SpacingBetweenSlices=3))

    assert image.spacing_mm == (3.0, 0.5, 0.25)


def test_slice_thickness_stands_in_for_slice_spacing(dicom_file):
    image = read_image(dicom_file(PLANE, PixelSpacing=[0.5, 0.25], SliceThickness=4))

    assert image.spacing_mm == (4.0, 0.5, 0.25)


def test_imager_spacing_is_the_second_choice(dicom_file):
    assert read_image(dicom_file(PLANE, ImagerPixelSpacing=[0.1, 0.2])).spacing_mm == (1, 0.1, 0.2)


def test_absent_spacing_is_unknown_without_a_warning(dicom_file):
    image = read_image(dicom_file(PLANE))

    assert (image.spacing_mm, image.warnings) == (None, ())


def test_zero_spacing_is_unknown_with_a_warning(dicom_file):
    image = read_image(dicom_file(PLANE, PixelSpacing=[0, 0.5]))

    assert image.spacing_mm is None
    assert "spacing is unknown" in image.warnings[0]


def test_spacing_that_is_text_is_unknown_with_a_warning(dicom_file):
    path = dicom_file(PLANE, PixelSpacing=[1.125, 1.125])
    path.write_bytes(path.read_bytes().replace(rb"1.125\1.125", rb"wide \ high"))

    image = read_image(path)

    assert image.spacing_mm is None
    assert "spacing is unknown" in image.warnings[0]


def test_frames_of_unknown_distance_are_assumed_one_millimetre_apart(dicom_file):
    image = read_image(dicom_file(np.repeat(PLANE, 2, axis=0), PixelSpacing=[0.5, 0.5]))

    assert image.spacing_mm == (1.0, 0.5, 0.5)
    assert "1 mm is assumed" in image.warnings[0]


def test_one_ultrasound_region_in_centimetres_gives_the_spacing(dicom_file):
    regions = Sequence([ultrasound_region()])

    image = read_image(dicom_file(PLANE, SequenceOfUltrasoundRegions=regions))

    assert image.spacing_mm == pytest.approx((1.0, 0.2, 0.5))


@pytest.mark.parametrize(
    "regions", [[ultrasound_region(), ultrasound_region()], [ultrasound_region(units=4)]]
)
def test_several_or_timed_ultrasound_regions_give_no_spacing(dicom_file, regions):
    image = read_image(dicom_file(PLANE, SequenceOfUltrasoundRegions=Sequence(regions)))

    assert image.spacing_mm is None


def test_spacing_of_an_enhanced_image_is_in_its_functional_groups(dicom_file):
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.3, 0.4], 2
    shared.PixelMeasuresSequence = Sequence([measures])

    image = read_image(dicom_file(PLANE, SharedFunctionalGroupsSequence=Sequence([shared])))

    assert image.spacing_mm == (2.0, 0.3, 0.4)
