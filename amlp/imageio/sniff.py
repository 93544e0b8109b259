"""What a file is, by its first bytes; names and declared types are not trusted."""

import zlib
from enum import StrEnum

from amlp.errors import UnreadableImage, UnsupportedImage

HEAD_BYTES = 4096


class ImageFormat(StrEnum):
    """The kinds of files that are accepted."""

    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"
    BMP = "bmp"
    DICOM = "dicom"
    NIFTI = "nifti"


_ACCEPTED = (
    (b"\x89PNG\r\n\x1a\n", ImageFormat.PNG),
    (b"\xff\xd8\xff", ImageFormat.JPEG),
    (b"II*\0", ImageFormat.TIFF),
    (b"MM\0*", ImageFormat.TIFF),
    (b"II+\0", ImageFormat.TIFF),
    (b"MM\0+", ImageFormat.TIFF),
    (b"BM", ImageFormat.BMP),
)
_REFUSED = (
    (b"GIF8", "GIF"),
    (b"\x7fELF", "ELF program"),
    (b"MZ", "Windows program"),
    (b"PK", "ZIP archive"),
    (b"%PDF", "PDF"),
    (b"Rar!", "RAR archive"),
    (b"7z\xbc\xaf", "7z archive"),
    (b"\xfd7zXZ", "XZ archive"),
    (b"BZh", "bzip2 archive"),
    (b"\x28\xb5\x2f\xfd", "Zstandard archive"),
    (b"\x93NUMPY", "NumPy array"),
    (b"\x89HDF", "HDF5"),
    (b"8BPS", "Photoshop"),
    (b"SIMPLE  =", "FITS"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000 codestream"),
    (b"RIFF", "RIFF (WebP, AVI)"),
    (b"%!PS", "PostScript"),
    (b"\x80\x02", "pickle"),
    (b"\x80\x03", "pickle"),
    (b"\x80\x04", "pickle"),
    (b"\x80\x05", "pickle"),
    (b"NRRD", "NRRD"),
    (b"\x1f\x8b", "gzip of something that is not NIfTI"),
)
_GZIP = b"\x1f\x8b"
_NIFTI1_SIZES = (b"\x5c\x01\0\0", b"\0\0\x01\x5c")
_NIFTI2_SIZES = (b"\x1c\x02\0\0", b"\0\0\x02\x1c")


def detect_format(head: bytes) -> ImageFormat:
    """Return the format of a file from its first `HEAD_BYTES` bytes.

    Raises:
        UnsupportedImage: another kind of file; the message names it.
        UnreadableImage: too short to tell.
    """
    if len(head) < 8:
        raise UnreadableImage(f"file of {len(head)} bytes, expected an image")
    if _is_dicom(head):
        return ImageFormat.DICOM
    for magic, accepted in _ACCEPTED:
        if head.startswith(magic):
            return accepted
    if _is_nifti(_peek_gzip(head) if head.startswith(_GZIP) else head):
        return ImageFormat.NIFTI
    if head[:4] in _NIFTI1_SIZES + _NIFTI2_SIZES and len(head) < 352:
        raise UnreadableImage(f"NIfTI header of {len(head)} bytes, expected 348 or more")
    raise UnsupportedImage(
        f"file is {_name_refused(head)}, expected PNG, JPEG, TIFF, BMP, DICOM or NIfTI"
    )


def _is_dicom(head: bytes) -> bool:
    if head[128:132] == b"DICM":
        return True
    # Without a preamble, only an explicit first element of group 2 or 8 is safe to believe.
    return head[:2] in {b"\x02\0", b"\x08\0"} and head[3] == 0 and head[4:6] in _FIRST_VRS


_FIRST_VRS = frozenset({b"UL", b"OB", b"UI", b"CS", b"DA", b"TM", b"LO", b"SH"})


def _is_nifti(head: bytes) -> bool:
    if head[:4] in _NIFTI1_SIZES and head[344:347] == b"ni1":
        raise UnsupportedImage("file is half of a .hdr and .img pair, expected a single .nii file")
    return (head[:4] in _NIFTI1_SIZES and head[344:347] == b"n+1") or (
        head[:4] in _NIFTI2_SIZES and head[4:7] == b"n+2"
    )


def _peek_gzip(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 1024)
    except zlib.error:
        return b""


def _name_refused(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return "ISO media (HEIC, AVIF, MP4)"
    text = head[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml")):
        return "SVG or XML"
    if text.startswith((b"<!doctype", b"<html", b"<script")):
        return "HTML"
    return next((name for magic, name in _REFUSED if head.startswith(magic)), "of an unknown kind")
