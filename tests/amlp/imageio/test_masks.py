import gzip

import nibabel as nib
import numpy as np
import pytest
from PIL import Image, ImageDraw

from amlp.errors import InvalidMask
from amlp.imageio.masks import LabelMap, read_label_map

LESION = np.zeros((40, 50), bool)
LESION[10:30, 12:40] = True


@pytest.mark.parametrize("high", [1, 255])
def test_0_and_high_is_a_lesion(picture_file, high):
    mask = read_label_map(picture_file(LESION * np.uint8(high)))

    np.testing.assert_array_equal(mask.values[0], LESION)
    assert (mask.labels, mask.warnings) == ((1,), ())


def test_16_bit_0_and_65535_is_a_lesion(picture_file):
    mask = read_label_map(picture_file(LESION * np.uint16(65535)))

    np.testing.assert_array_equal(mask.values[0], LESION)


def test_a_label_map_is_kept(picture_file, rng):
    values = rng.integers(0, 5, (20, 30), dtype=np.uint8)

    mask = read_label_map(picture_file(values))

    np.testing.assert_array_equal(mask.values[0], values)
    assert mask.labels == (1, 2, 3, 4)


def test_labels_above_the_known_ones_are_refused(picture_file):
    with pytest.raises(InvalidMask, match=r"0, 3, expected .* labels up to 2"):
        read_label_map(picture_file(LESION * np.uint8(3)), num_classes=3)


def test_255_is_no_label_where_several_are_known(picture_file):
    with pytest.raises(InvalidMask, match="0, 255"):
        read_label_map(picture_file(LESION * np.uint8(255)), num_classes=4)


def test_an_empty_mask_has_no_labels(picture_file):
    mask = read_label_map(picture_file(np.zeros((20, 30), np.uint8)))

    assert (mask.labels, mask.warnings) == ((), ())


def test_a_full_mask_is_accepted_with_a_warning(picture_file):
    mask = read_label_map(picture_file(np.full((20, 30), 255, np.uint8)))

    assert mask.labels == (1,)
    assert "no background" in mask.warnings[0]


def test_the_ringing_of_a_jpeg_is_thresholded_with_a_warning(picture_file):
    mask = read_label_map(picture_file(LESION * np.uint8(255), "x.jpg", quality=85))

    assert np.mean(mask.values[0] != LESION) < 0.005
    assert "JPEG" in mask.warnings[0]


def test_a_dark_jpeg_is_empty_and_no_label_map(picture_file, rng):
    noise = rng.integers(0, 6, (40, 50), dtype=np.uint8)

    mask = read_label_map(picture_file(noise, "x.jpg", quality=95))

    assert mask.labels == ()


def test_a_soft_jpeg_is_refused(picture_file):
    ramp = np.tile(np.linspace(0, 255, 50).astype(np.uint8), (40, 1))

    with pytest.raises(InvalidMask, match="values up to"):
        read_label_map(picture_file(ramp, "x.jpg"))


def test_two_clusters_of_a_lossless_mask_are_thresholded(picture_file):
    values = LESION * np.uint8(250)
    values[0, 0] = 3

    mask = read_label_map(picture_file(values))

    np.testing.assert_array_equal(mask.values[0], LESION)
    assert "two clusters" in mask.warnings[0]


@pytest.mark.parametrize("levels", [(0, 127, 128, 255), (0, 127, 255), (0, 100)])
def test_other_grey_values_are_refused_and_listed(picture_file, levels):
    values = np.resize(np.array(levels, np.uint8), (20, 30))

    with pytest.raises(InvalidMask, match=", ".join(map(str, levels))):
        read_label_map(picture_file(values))


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 255), (255, 255, 0)])
def test_a_coloured_lesion_does_not_vanish(picture_file, colour):
    values = LESION[..., None] * np.array(colour, np.uint8)

    mask = read_label_map(picture_file(values))

    np.testing.assert_array_equal(mask.values[0], LESION)
    assert "colour" in mask.warnings[0]


def test_several_colours_are_refused(picture_file):
    values = LESION[..., None] * np.array((255, 0, 0), np.uint8)
    values[0, 0] = (0, 255, 0)

    with pytest.raises(InvalidMask, match="several colours"):
        read_label_map(picture_file(values))


def test_a_coloured_jpeg_mask_is_read(picture_file):
    values = LESION[..., None] * np.array((255, 255, 0), np.uint8)

    mask = read_label_map(picture_file(values, "x.jpg", quality=90, subsampling=0))

    assert np.mean(mask.values[0] != LESION) < 0.01


def test_opaque_alpha_is_no_lesion(picture_file):
    values = np.repeat((LESION * np.uint8(255))[..., None], 4, axis=2)
    values[..., 3] = 255

    np.testing.assert_array_equal(read_label_map(picture_file(values)).values[0], LESION)


def test_a_palette_mask_of_one_colour_is_read(tmp_path):
    picture = Image.new("P", (30, 20), 0)
    picture.putpalette([0, 0, 0, 128, 0, 0])
    ImageDraw.Draw(picture).rectangle((5, 5, 9, 9), fill=1)
    picture.save(tmp_path / "x.png")

    assert read_label_map(tmp_path / "x.png").values.sum() == 25


@pytest.mark.parametrize("values", [(0.0, 0.5), (-1.0, 1.0)])
def test_fractions_and_negative_values_are_refused(tmp_path, values):
    volume = np.resize(np.array(values, np.float32), (6, 6, 6))
    nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / "x.nii.gz")

    with pytest.raises(InvalidMask, match="integers from 0"):
        read_label_map(tmp_path / "x.nii.gz")


def test_a_volume_keeps_its_geometry(tmp_path):
    volume = np.zeros((6, 7, 8), np.int16)
    volume[1, 2, 3] = 2
    nib.save(nib.Nifti1Image(volume, np.diag([1.0, 2, 3, 1])), tmp_path / "x.nii.gz")

    mask = read_label_map(tmp_path / "x.nii.gz")

    assert mask.values[3, 2, 1] == 2
    assert mask.spacing_mm == (3, 2, 1)


def test_an_empty_volume_that_compresses_well_is_no_bomb(tmp_path):
    volume = np.zeros((512, 512, 260), np.uint8)
    data = nib.Nifti1Image(volume, np.eye(4)).to_bytes()
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(data, 6))

    assert read_label_map(tmp_path / "x.nii.gz").labels == ()


def test_labels_leave_background_out():
    assert LabelMap(np.array([[[0, 3, 3, 1]]], np.uint8)).labels == (1, 3)
