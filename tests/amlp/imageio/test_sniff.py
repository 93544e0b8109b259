import gzip

import nibabel as nib
import numpy as np
import pytest

from amlp.errors import UnreadableImage, UnsupportedImage
from amlp.imageio.sniff import ImageFormat, detect_format

NIFTI = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_bytes()


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n....", ImageFormat.PNG),
        (b"\xff\xd8\xff\xe0....", ImageFormat.JPEG),
        (b"II*\0........", ImageFormat.TIFF),
        (b"MM\0*........", ImageFormat.TIFF),
        (b"BM..........", ImageFormat.BMP),
        (b"\0" * 128 + b"DICM", ImageFormat.DICOM),
        (b"\x02\0\0\0UL\x04\0....", ImageFormat.DICOM),
        (NIFTI, ImageFormat.NIFTI),
        (gzip.compress(NIFTI), ImageFormat.NIFTI),
        (b"MZ" + b"\0" * 126 + b"DICM", ImageFormat.DICOM),
    ],
)
def test_accepted_formats_are_told_by_their_first_bytes(head, expected):
    assert detect_format(head) is expected


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"GIF89a......", "GIF"),
        (b"  <SVG xmlns=''>", "SVG"),
        (b"\xef\xbb\xbf<!DOCTYPE html>", "HTML"),
        (b"\x7fELF........", "ELF"),
        (b"MZ..........", "Windows program"),
        (b"PK\x03\x04........", "ZIP"),
        (b"%PDF-1.7....", "PDF"),
        (b"\x80\x04........", "pickle"),
        (b"\0\0\0\x20ftypheic", "HEIC"),
        (gzip.compress(b"hello"), "gzip"),
        (b"hello there!", "unknown"),
    ],
)
def test_other_kinds_are_refused_by_name(head, name):
    with pytest.raises(UnsupportedImage, match=name):
        detect_format(head)


def test_half_of_an_analyze_pair_is_refused_with_the_reason():
    head = bytearray(NIFTI)
    head[344:348] = b"ni1\0"

    with pytest.raises(UnsupportedImage, match=r"\.hdr and \.img"):
        detect_format(bytes(head))


@pytest.mark.parametrize("head", [b"", b"\x89", b"\x89PNG\r\n", NIFTI[:200]])
def test_too_few_bytes_are_unreadable(head):
    with pytest.raises(UnreadableImage):
        detect_format(head)
