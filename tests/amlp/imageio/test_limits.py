import pytest

from amlp.errors import ImageTooLarge, UnreadableImage
from amlp.imageio.limits import ImageLimits, read_bytes

LIMITS = ImageLimits(max_pixels=10_000, max_frames=10, max_decoded_bytes=50_000)


@pytest.mark.parametrize(
    ("height", "width", "frames", "pixel_bytes"),
    [(101, 100, 1, 1), (10, 10, 11, 1), (100, 100, 6, 1), (100, 100, 1, 6)],
)
def test_a_grid_above_a_limit_is_too_large(height, width, frames, pixel_bytes):
    with pytest.raises(ImageTooLarge, match="at most"):
        LIMITS.check_grid(height, width, frames=frames, pixel_bytes=pixel_bytes)


@pytest.mark.parametrize(
    ("height", "width", "frames"), [(0, 10, 1), (10, 0, 1), (10, 10, 0), (1, 50, 1), (2, 201, 1)]
)
def test_an_empty_or_line_like_grid_is_no_image(height, width, frames):
    with pytest.raises(UnreadableImage):
        LIMITS.check_grid(height, width, frames=frames)


def test_a_grid_exactly_at_the_limits_passes():
    LIMITS.check_grid(100, 100, frames=5, pixel_bytes=1)


def test_declared_sizes_do_not_overflow():
    with pytest.raises(ImageTooLarge):
        ImageLimits(max_pixels=2**70, max_frames=2**70).check_grid(2**31, 2**31, frames=2**31)


def test_small_data_may_inflate_a_thousandfold():
    ImageLimits().check_inflation(1000, 1_000_000)


def test_much_data_may_not_inflate_a_thousandfold():
    with pytest.raises(ImageTooLarge, match="200 times"):
        ImageLimits().check_inflation(100_000, 100_000_000)


def test_inflation_has_an_absolute_limit():
    with pytest.raises(ImageTooLarge):
        LIMITS.check_inflation(49_000, 50_001)


def test_a_file_above_the_limit_is_not_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")

    with pytest.raises(ImageTooLarge, match="5 bytes"):
        read_bytes(path, ImageLimits(max_file_bytes=4))


def test_an_empty_file_is_unreadable(tmp_path):
    path = tmp_path / "file"
    path.touch()

    with pytest.raises(UnreadableImage, match="empty"):
        read_bytes(path, ImageLimits())
