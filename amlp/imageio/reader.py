"""The one way in: a file becomes a `MedicalImage` by what it holds, not by what it is called."""

from pathlib import Path
from typing import assert_never

from amlp.imageio.dicom import read_dicom
from amlp.imageio.image import MedicalImage
from amlp.imageio.limits import ImageLimits
from amlp.imageio.nifti import read_nifti
from amlp.imageio.raster import read_raster
from amlp.imageio.sniff import HEAD_BYTES, ImageFormat, detect_format


def read_image(path: Path, *, limits: ImageLimits | None = None) -> MedicalImage:
    """Read a PNG, JPEG, TIFF, BMP, DICOM or NIfTI file.

    Meant for trusted files; untrusted ones go through `IsolatedReader`, for decoders can crash.

    Args:
        path: file; its name does not matter.
        limits: upper bounds, `ImageLimits()` if absent.

    Raises:
        UnreadableImage: the bytes cannot be decoded.
        UnsupportedImage: a kind that is not accepted; the message names what was found.
        ImageTooLarge: above a limit.
    """
    limits = limits or ImageLimits()
    match image_format := sniff_file(path):
        case ImageFormat.DICOM:
            return read_dicom(path, limits)
        case ImageFormat.NIFTI:
            return read_nifti(path, limits)
        case ImageFormat.PNG | ImageFormat.JPEG | ImageFormat.TIFF | ImageFormat.BMP:
            return read_raster(path, limits, image_format)
        case _:
            assert_never(image_format)


def sniff_file(path: Path) -> ImageFormat:
    """Return the format of a file.

    Raises:
        UnsupportedImage: another kind of file.
        UnreadableImage: too short to tell.
    """
    with path.open("rb") as file:
        return detect_format(file.read(HEAD_BYTES))
