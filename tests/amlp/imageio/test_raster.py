import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from amlp.errors import AmlpError, ImageTooLarge, UnreadableImage
from amlp.imageio.image import MedicalImage
from amlp.imageio.limits import ImageLimits
from amlp.imageio.reader import read_image


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_grey_values_come_back_unchanged(picture_file, rng, suffix):
    values = rng.integers(0, 256, (9, 12), dtype=np.uint8)

    image = read_image(picture_file(values, f"x.{suffix}"))

    assert image.pixels.dtype == np.uint8
    np.testing.assert_array_equal(image.pixels, values[None, None])


def test_colour_comes_back_channel_first(picture_file, rng):
    values = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)

    image = read_image(picture_file(values))

    np.testing.assert_array_equal(image.pixels[:, 0], values.transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_16_bit_values_are_kept_and_not_clipped(picture_file, name):
    values = np.linspace(0, 65535, 120).astype(np.uint16).reshape(10, 12)

    image = read_image(picture_file(values, name))

    assert image.pixels.dtype == np.float32
    np.testing.assert_array_equal(image.pixels[0, 0], values)


def test_float_values_are_kept(picture_file, rng):
    values = rng.normal(size=(9, 12)).astype(np.float32)

    np.testing.assert_array_equal(read_image(picture_file(values, "x.tif")).pixels[0, 0], values)


def test_one_bit_becomes_0_and_255(picture_file):
    values = np.eye(10, dtype=bool)

    image = read_image(picture_file(values))

    np.testing.assert_array_equal(image.pixels[0, 0], values * np.uint8(255))


def test_a_palette_becomes_rgb(tmp_path):
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.save(tmp_path / "x.png")

    image = read_image(tmp_path / "x.png")

    assert image.pixels[:, 0, 0, 0].tolist() == [10, 20, 30]


def test_opaque_alpha_is_dropped_silently(picture_file, rng):
    values = rng.integers(0, 256, (9, 12, 4), dtype=np.uint8)
    values[..., 3] = 255

    image = read_image(picture_file(values))

    assert image.warnings == ()
    np.testing.assert_array_equal(image.pixels[:, 0], values[..., :3].transpose(2, 0, 1))


def test_real_transparency_is_dropped_with_a_warning(picture_file, rng):
    image = read_image(picture_file(rng.integers(0, 255, (9, 12, 4), dtype=np.uint8)))

    assert image.channels == 3
    assert image.warnings == ("transparency was dropped",)


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "x.jpg")

    image = read_image(tmp_path / "x.jpg")

    red, green, blue = image.pixels[:, 0, 4, 4].tolist()
    assert red > 200
    assert max(green, blue) < 60


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.zeros((8, 16, 3), np.uint8)
    values[:, :8] = 255
    Image.fromarray(values).save(tmp_path / "x.jpg", exif=exif)

    image = read_image(tmp_path / "x.jpg")

    assert image.size == (16, 8)
    assert image.pixels[0, 0, 2].mean() > 200
    assert image.pixels[0, 0, -2].mean() < 50


@pytest.mark.parametrize(("name", "kind"), [("x.tif", "TIFF"), ("x.png", "PNG")])
def test_several_frames_are_refused(tmp_path, name, kind):
    frames = [Image.new("L", (8, 8), level) for level in (0, 100, 200)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])

    with pytest.raises(UnreadableImage, match=f"{kind} holds several frames"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(picture_file, bad):
    values = np.zeros((8, 8), np.float32)
    values[3, 3] = bad

    with pytest.raises(UnreadableImage, match="1 of 64 pixels"):
        read_image(picture_file(values, "x.tif"))


def test_a_bomb_is_refused_from_its_header(picture_file):
    path = picture_file(np.zeros((300, 300), np.uint8))

    with pytest.raises(ImageTooLarge, match="300 x 300"):
        read_image(path, limits=ImageLimits(max_pixels=80_000))


def test_pillows_own_bomb_guard_is_answered_with_our_error(picture_file, monkeypatch):
    path = picture_file(np.zeros((64, 64), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)

    with pytest.raises(ImageTooLarge):
        read_image(path)


def test_much_metadata_is_refused(picture_file):
    info = PngImagePlugin.PngInfo()
    info.add_text("note", "x" * 5000)
    path = picture_file(np.zeros((8, 8), np.uint8), pnginfo=info)

    with pytest.raises(ImageTooLarge, match="metadata"):
        read_image(path, limits=ImageLimits(max_metadata_bytes=4999))


def test_a_cut_picture_is_refused(picture_file, rng):
    path = picture_file(rng.integers(0, 256, (64, 64), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-2000])

    with pytest.raises(UnreadableImage, match="cut short"):
        read_image(path)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["PNG", "JPEG", "TIFF", "BMP"]))
def test_damaged_bytes_give_an_image_or_a_typed_error(tmp_path, seed, kind):
    damage = np.random.default_rng(seed)
    buffer = io.BytesIO()
    Image.fromarray(damage.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(buffer, kind)
    data = np.frombuffer(buffer.getvalue(), np.uint8).copy()
    where = damage.integers(0, len(data), damage.integers(1, 6))
    data[where] = damage.integers(0, 256, len(where))
    path = tmp_path / "x"
    path.write_bytes(data[: damage.integers(1, len(data) + 1)].tobytes())

    try:
        image = read_image(path)
    except AmlpError:
        return

    assert isinstance(image, MedicalImage)
