import struct

import pytest

from amlp.errors import ImageTooLarge, UnreadableImage
from amlp.imageio.dicom_structure import check_structure
from amlp.imageio.limits import ImageLimits

HEAD = b"\0" * 128 + b"DICM"
UNDEFINED = b"\xff\xff\xff\xff"
PIXELS = b"\xe0\x7f\x10\0OW\0\0\x04\0\0\0abcd"
ITEM, ITEM_END = b"\xfe\xff\0\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def meta(uid: bytes) -> bytes:
    return HEAD + b"\x02\0\x10\0UI" + struct.pack("<H", len(uid)) + uid


EXPLICIT = meta(b"1.2.840.10008.1.2.1\0")


def nested(depth: int) -> bytes:
    """Return `depth` sequences of undefined length inside each other."""
    opened = (b"\x08\0\x40\x11SQ\0\0" + UNDEFINED + ITEM + UNDEFINED) * depth
    return opened + (ITEM_END + SEQUENCE_END) * depth


def test_pixel_data_at_the_top_level_are_found():
    assert check_structure(EXPLICIT + PIXELS, ImageLimits()).has_pixels


def test_pixel_data_inside_a_sequence_do_not_count():
    icon = ITEM + struct.pack("<I", len(PIXELS)) + PIXELS
    sequence = b"\x88\0\0\x02SQ\0\0" + struct.pack("<I", len(icon)) + icon

    assert not check_structure(EXPLICIT + sequence, ImageLimits()).has_pixels


def test_the_transfer_syntax_is_read():
    structure = check_structure(EXPLICIT + PIXELS, ImageLimits())

    assert structure.transfer_syntax == "1.2.840.10008.1.2.1"


def test_big_endian_lengths_are_understood():
    pixels = b"\x7f\xe0\0\x10OW\0\0\0\0\0\x04abcd"

    assert check_structure(meta(b"1.2.840.10008.1.2.2\0") + pixels, ImageLimits()).has_pixels


def test_implicit_elements_are_understood():
    pixels = b"\xe0\x7f\x10\0\x04\0\0\0abcd"

    assert check_structure(meta(b"1.2.840.10008.1.2\0") + pixels, ImageLimits()).has_pixels


def test_compressed_fragments_are_skipped_and_not_parsed():
    fragment = b"\x08\0\x40\x11SQ\0\0" + UNDEFINED
    pixels = (
        b"\xe0\x7f\x10\0OB\0\0" + UNDEFINED + ITEM + struct.pack("<I", len(fragment)) + fragment
    )

    assert check_structure(EXPLICIT + pixels + SEQUENCE_END, ImageLimits()).has_pixels


def test_a_sequence_of_unknown_vr_is_implicit_inside():
    element = b"\x08\0\x50\0\x02\0\0\0ab"
    sequence = b"\x09\0\x10\x10UN\0\0" + UNDEFINED + ITEM + UNDEFINED + element
    data = EXPLICIT + sequence + ITEM_END + SEQUENCE_END + PIXELS

    assert check_structure(data, ImageLimits()).has_pixels


@pytest.mark.parametrize("length", [5, 2**31, 2**32 - 16])
def test_a_length_beyond_the_file_is_refused(length):
    data = EXPLICIT + b"\xe0\x7f\x10\0OW\0\0" + struct.pack("<I", length) + b"abcd"

    with pytest.raises(UnreadableImage, match=rf"\(7FE0,0010\) declares {length} bytes, 4 are"):
        check_structure(data, ImageLimits())


def test_a_length_beyond_its_item_is_refused():
    element = b"\x08\0\x50\0LO\x20\0ab"
    sequence = b"\x08\0\x40\x11SQ\0\0" + UNDEFINED + ITEM + struct.pack("<I", len(element))

    with pytest.raises(UnreadableImage, match="declares 32 bytes, 2 are left"):
        check_structure(EXPLICIT + sequence + element + b"\0" * 100, ImageLimits())


def test_nesting_up_to_the_limit_passes():
    assert check_structure(EXPLICIT + nested(31) + PIXELS, ImageLimits()).has_pixels


@pytest.mark.parametrize("depth", [33, 5000])
def test_deeper_nesting_is_refused(depth):
    with pytest.raises(UnreadableImage, match="deeper than 32"):
        check_structure(EXPLICIT + nested(depth) + PIXELS, ImageLimits())


def test_too_many_elements_are_refused():
    with pytest.raises(ImageTooLarge, match="more than 10 elements"):
        check_structure(EXPLICIT + b"\x08\0\x50\0LO\0\0" * 11, ImageLimits(max_elements=10))


@pytest.mark.parametrize("data", [HEAD, EXPLICIT, EXPLICIT + b"\x08\0"])
def test_a_file_without_data_set_is_refused(data):
    with pytest.raises(UnreadableImage, match="before its data set"):
        check_structure(data, ImageLimits())


def test_a_transfer_syntax_that_is_no_uid_is_not_echoed():
    with pytest.raises(UnreadableImage) as caught:
        check_structure(meta(b"<script>") + PIXELS, ImageLimits())

    assert "script" not in str(caught.value)


def test_damaged_deflated_data_are_refused():
    with pytest.raises(UnreadableImage, match="deflated"):
        check_structure(meta(b"1.2.840.10008.1.2.1.99") + b"\xff" * 50, ImageLimits())
