import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from amlp.imageio.image import MedicalImage
from amlp.imageio.masks import LabelMap, read_label_map
from amlp.imageio.reader import read_image
from amlp.imageio.writer import write_canonical, write_label_map

AFFINE = np.array([[0.0, -2, 0.5, 10], [1, 0, 0, 20], [0, 0.25, 4, -30], [0, 0, 0, 1]])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_becomes_a_png_with_the_same_pixels(tmp_path, rng, channels):
    pixels = rng.integers(0, 256, (channels, 1, 9, 12), dtype=np.uint8)

    path = write_canonical(MedicalImage(pixels), tmp_path, "x")

    assert path.name == "x.png"
    np.testing.assert_array_equal(read_image(path).pixels, pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(1, 4, 5, 6), (3, 4, 5, 6), (2, 1, 5, 6)])
def test_a_volume_comes_back_the_same(tmp_path, rng, dtype, shape):
    pixels = (rng.normal(size=shape) * 50 + 100).astype(dtype)
    image = MedicalImage(pixels, spacing_mm=(4.0, 0.5, 0.25))

    path = write_canonical(image, tmp_path, "x")

    again = read_image(path)
    assert path.name == "x.nii.gz"
    assert (again.pixels.dtype, again.spacing_mm, again.affine) == (dtype, (4, 0.5, 0.25), None)
    np.testing.assert_array_equal(again.pixels, pixels)


def test_the_affine_comes_back_the_same(tmp_path):
    spacing = tuple(np.linalg.norm(AFFINE[:3, :3], axis=0)[::-1].tolist())
    image = MedicalImage(np.zeros((1, 3, 4, 5), np.float32), spacing, AFFINE)

    again = read_image(write_canonical(image, tmp_path, "x"))

    np.testing.assert_allclose(again.affine, AFFINE, rtol=1e-6)
    assert again.spacing_mm == pytest.approx(spacing)


def test_unknown_spacing_stays_unknown(tmp_path):
    image = MedicalImage(np.zeros((1, 3, 4, 5), np.float32))

    assert read_image(write_canonical(image, tmp_path, "x")).spacing_mm is None


def test_a_known_spacing_of_1_stays_known(tmp_path):
    image = MedicalImage(np.zeros((1, 3, 4, 5), np.float32), (1.0, 1.0, 1.0))

    assert read_image(write_canonical(image, tmp_path, "x")).spacing_mm == (1, 1, 1)


def test_nibabel_sees_the_voxels_where_the_affine_says(tmp_path, rng):
    pixels = rng.normal(size=(1, 3, 4, 5)).astype(np.float32)

    picture = nib.load(write_canonical(MedicalImage(pixels, affine=AFFINE), tmp_path, "x"))

    np.testing.assert_allclose(picture.affine, AFFINE)
    assert picture.get_fdata()[4, 1, 2] == pixels[0, 2, 1, 4]


def test_a_very_long_side_is_written_too(tmp_path):
    image = MedicalImage(np.zeros((1, 1, 400, 33000), np.float32))

    assert read_image(write_canonical(image, tmp_path, "x")).size == (400, 33000)


@pytest.mark.parametrize("shape", [(1, 1, 9, 12), (1, 3, 9, 12)])
def test_the_same_image_gives_the_same_bytes(tmp_path, rng, shape):
    image = MedicalImage(rng.integers(0, 256, shape, dtype=np.uint8))

    first, second = (write_canonical(image, tmp_path, stem) for stem in ("a", "b"))

    assert first.read_bytes() == second.read_bytes()


def test_a_png_carries_no_metadata(tmp_path):
    path = write_canonical(MedicalImage(np.zeros((1, 1, 9, 9), np.uint8)), tmp_path, "x")

    with Image.open(path) as picture:
        assert picture.info == {}


@pytest.mark.parametrize(
    ("values", "affine", "suffix"),
    [
        (np.eye(8, dtype=np.uint8)[None], None, ".png"),
        (np.eye(8, dtype=np.uint8)[None], AFFINE, ".nii.gz"),
        (np.ones((3, 4, 5), np.uint8) * 2, None, ".nii.gz"),
    ],
)
def test_a_label_map_comes_back_the_same(tmp_path, values, affine, suffix):
    path = write_label_map(LabelMap(values, affine=affine), tmp_path, "x")

    assert path.name == f"x{suffix}"
    np.testing.assert_array_equal(read_label_map(path).values, values)
