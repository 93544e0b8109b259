import warnings

import numpy as np
import pytest

from amlp.errors import ImageTooLarge, InvalidMask, UnreadableImage
from amlp.imageio.decoding import decoding, require_finite


@pytest.mark.parametrize(
    "error", [OSError, ValueError, KeyError, IndexError, OverflowError, RecursionError, TypeError]
)
def test_failures_of_a_decoder_are_unreadable_images(error):
    with pytest.raises(UnreadableImage, match=r"PNG .*cut short"), decoding("PNG"):
        raise error("canary")


def test_what_a_decoder_says_is_not_repeated():
    with pytest.raises(UnreadableImage) as caught, decoding("PNG"):
        raise ValueError("canary")

    assert "canary" not in str(caught.value)


def test_a_lack_of_memory_is_a_too_large_image():
    with pytest.raises(ImageTooLarge, match="memory"), decoding("PNG"):
        raise MemoryError


def test_errors_of_our_own_pass_unchanged():
    with pytest.raises(InvalidMask, match="as it was"), decoding("PNG"):
        raise InvalidMask("as it was")


def test_warnings_of_a_decoder_are_collected():
    with decoding("PNG") as caught:
        warnings.warn("odd", stacklevel=1)

    assert len(caught) == 1


@pytest.mark.parametrize("values", [np.arange(3), np.zeros(3, np.float32)])
def test_numbers_are_finite(values):
    require_finite(values)
