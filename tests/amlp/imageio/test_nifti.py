import gzip

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amlp.errors import AmlpError, ImageTooLarge, UnreadableImage, UnsupportedImage
from amlp.imageio.image import MedicalImage
from amlp.imageio.limits import ImageLimits
from amlp.imageio.reader import read_image

AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3, 0, 20], [0, 0, 4, -30], [0, 0, 0, 1]])


@pytest.fixture
def volume_file(tmp_path):
    """Write (x, y, z) values as NIfTI, after `change` has touched the header."""

    def write(values, *, affine=AFFINE, name="x.nii.gz", kind=nib.Nifti1Image, change=None):
        picture = kind(values, affine)
        data = bytearray(picture.to_bytes())
        if change is not None:
            header = picture.header.copy()
            header["vox_offset"] = 352
            header["magic"] = b"n+1"
            change(header)
            data[:348] = header.binaryblock
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else bytes(data))
        return path

    return write


@pytest.mark.parametrize("dtype", ["i1", "u2", "i2", ">i2", "i4", "f4", ">f4", "f8"])
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_voxel_x_y_z_is_pixel_z_y_x(volume_file, rng, dtype, name):
    values = rng.integers(-100, 100, (5, 6, 7)).astype(dtype)

    image = read_image(volume_file(values, name=name))

    assert image.pixels.dtype == np.float32
    assert image.pixels[0, 4, 3, 2] == np.float32(values[2, 3, 4])
    np.testing.assert_array_equal(image.pixels[0], values.T.astype(np.float32))


def test_unscaled_bytes_stay_bytes(volume_file):
    assert read_image(volume_file(np.ones((4, 5, 6), np.uint8))).pixels.dtype == np.uint8


def test_scaling_is_applied(volume_file, rng):
    values = rng.integers(0, 9, (4, 5, 6), dtype=np.int16)

    def scale(header):
        header["scl_slope"], header["scl_inter"] = 0.5, -3

    image = read_image(volume_file(values, change=scale))

    np.testing.assert_array_equal(image.pixels[0], values.T * 0.5 - 3)


def test_nifti_2_is_read(volume_file, rng):
    values = rng.normal(size=(4, 5, 6)).astype(np.float32)

    image = read_image(volume_file(values, kind=nib.Nifti2Image))

    np.testing.assert_array_equal(image.pixels[0], values.T)


def test_affine_and_spacing_are_kept(volume_file):
    image = read_image(volume_file(np.zeros((4, 5, 6), np.int16)))

    np.testing.assert_array_equal(image.affine, AFFINE)
    assert image.spacing_mm == (4, 3, 2)


def test_microns_become_millimetres(volume_file):
    image = read_image(
        volume_file(
            np.zeros((4, 5, 6), np.int16), change=lambda header: header.set_xyzt_units("micron")
        )
    )

    assert image.spacing_mm == pytest.approx((0.004, 0.003, 0.002))


def test_a_picture_of_two_axes_has_one_slice(volume_file):
    assert read_image(volume_file(np.zeros((4, 5), np.int16))).pixels.shape == (1, 1, 5, 4)


def test_the_fourth_axis_holds_channels(volume_file, rng):
    values = rng.normal(size=(4, 5, 6, 3)).astype(np.float32)

    image = read_image(volume_file(values))

    np.testing.assert_array_equal(image.pixels[2], values[..., 2].T)


@pytest.mark.parametrize("shape", [(4, 5, 6, 1), (4, 5, 6, 1, 1)])
def test_trailing_axes_of_one_are_ignored(volume_file, shape):
    assert read_image(volume_file(np.zeros(shape, np.int16))).pixels.shape == (1, 6, 5, 4)


@pytest.mark.parametrize("shape", [(4, 5, 6, 65), (4, 5, 6, 1, 3)])
def test_more_axes_or_channels_are_refused(volume_file, shape):
    with pytest.raises(UnsupportedImage, match="shape"):
        read_image(volume_file(np.zeros(shape, np.uint8)))


@pytest.mark.parametrize("dtype", [np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_voxels_that_are_no_numbers_are_refused(volume_file, dtype):
    with pytest.raises(UnsupportedImage, match="datatype"):
        read_image(volume_file(np.zeros((4, 5, 6), dtype)))


def _set(name, value, index=...):
    def change(header):
        header[name][index] = value

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_set("dim", -5, 1), UnreadableImage, "expected positive"),
        (_set("dim", 0, 3), UnreadableImage, "expected positive"),
        (_set("dim", 9, 0), UnreadableImage, "expected positive"),
        (_set("dim", 32767, slice(1, 4)), ImageTooLarge, "32767 x 32767"),
        (_set("dim", 60, 3), UnreadableImage, "ends after"),
        (_set("datatype", 9999), UnreadableImage, "9999 is not defined"),
        (_set("vox_offset", 1e9), ImageTooLarge, "inflate"),
        (_set("vox_offset", np.nan), UnreadableImage, "vox_offset"),
        (_set("scl_slope", np.inf), UnreadableImage, "scaling"),
        (_set("srow_x", np.nan, 0), UnreadableImage, "affine"),
    ],
)
def test_impossible_headers_are_refused_by_name(volume_file, change, error, message):
    with pytest.raises(error, match=message):
        read_image(volume_file(np.zeros((4, 5, 6), np.int16), change=change))


def test_a_singular_affine_leaves_the_spacing_unknown(volume_file):
    image = read_image(
        volume_file(np.zeros((4, 5, 6), np.int16), change=_set("srow_x", 0, slice(None)))
    )

    assert (image.spacing_mm, image.affine) == (None, None)
    assert "singular" in image.warnings[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_voxels_that_are_not_finite_are_refused(volume_file, bad):
    values = np.zeros((4, 5, 6), np.float32)
    values[1, 1, 1] = bad

    with pytest.raises(UnreadableImage, match="1 of 120"):
        read_image(volume_file(values))


def test_a_cut_gzip_stream_is_refused(volume_file, rng):
    path = volume_file(rng.normal(size=(9, 9, 9)).astype(np.float32))
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(UnreadableImage, match="ends"):
        read_image(path)


@pytest.mark.parametrize("tail", [b"more", gzip.compress(b"another member")])
def test_data_behind_the_gzip_stream_are_refused(volume_file, tail):
    path = volume_file(np.zeros((4, 5, 6), np.int16))
    path.write_bytes(path.read_bytes() + tail)

    with pytest.raises(UnreadableImage, match="further data"):
        read_image(path)


def test_a_volume_that_goes_on_inside_the_stream_is_refused(volume_file):
    with pytest.raises(UnreadableImage, match="goes on"):
        read_image(volume_file(np.ones((4, 5, 6), np.int16), change=_set("dim", 3, 3)))


def test_a_bomb_is_refused_from_its_header(volume_file):
    path = volume_file(np.zeros((100, 100, 100), np.uint8))

    with pytest.raises(ImageTooLarge):
        read_image(path, limits=ImageLimits(max_decoded_bytes=999_999))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_damaged_bytes_give_an_image_or_a_typed_error(volume_file, tmp_path, seed, deflated):
    damage = np.random.default_rng(seed)
    source = volume_file(np.ones((4, 5, 6), np.int16), name="x.nii.gz" if deflated else "x.nii")
    data = np.frombuffer(source.read_bytes(), np.uint8).copy()
    where = damage.integers(0, min(len(data), 352), damage.integers(1, 5))
    data[where] = damage.integers(0, 256, len(where))
    path = tmp_path / "damaged"
    path.write_bytes(data[: damage.integers(1, len(data) + 300)].tobytes())

    try:
        image = read_image(path)
    except AmlpError:
        return

    assert isinstance(image, MedicalImage)
