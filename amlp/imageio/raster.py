"""Plain pictures (PNG, JPEG, TIFF, BMP), read by Pillow with everything else switched off.

Conversions: EXIF orientation is applied; 1-bit becomes 0/255; palette and CMYK become RGB; 16-bit,
32-bit and float grey keep their values as float32; alpha is dropped. A file of several frames is
refused, for nobody can say which was meant.
"""

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from amlp.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from amlp.imageio.decoding import decoding, require_finite
from amlp.imageio.image import MedicalImage
from amlp.imageio.limits import ImageLimits, read_bytes
from amlp.imageio.sniff import ImageFormat

_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "LA": 2, "PA": 2, "I;16": 2}


def read_raster(path: Path, limits: ImageLimits, image_format: ImageFormat) -> MedicalImage:
    """Read a picture of one frame as (c, 1, y, x), uint8 or float32.

    Raises:
        UnreadableImage: damaged, several frames, or not finite.
        UnsupportedImage: a colour model without a defined conversion.
        ImageTooLarge: above a limit.
    """
    data = read_bytes(path, limits)
    what = image_format.upper()
    with decoding(what) as caught:
        with warnings.catch_warnings():
            # Pillow's own bomb guard is weaker than ours and only warns in between.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                picture = Image.open(io.BytesIO(data), formats=[what])
            except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
                raise ImageTooLarge(
                    f"{what} declares more than {limits.max_pixels} pixels"
                ) from error
        _check_header(picture, limits, image_format)
        notes = _notes(picture)
        picture.load()
        pixels, dropped = _to_pixels(ImageOps.exif_transpose(picture))
    require_finite(pixels)
    if caught:
        notes.append(f"{what} has {len(caught)} irregularities that the decoder tolerated")
    return MedicalImage(pixels, warnings=(*notes, *dropped))


def _check_header(picture: Image.Image, limits: ImageLimits, image_format: ImageFormat) -> None:
    width, height = picture.size
    limits.check_grid(height, width, pixel_bytes=_PIXEL_BYTES.get(picture.mode, 4))
    metadata = sum(len(value) for value in picture.info.values() if isinstance(value, bytes | str))
    if metadata > limits.max_metadata_bytes:
        raise ImageTooLarge(
            f"picture carries {metadata} bytes of metadata, "
            f"expected {limits.max_metadata_bytes} at most"
        )
    if image_format is not ImageFormat.JPEG and _has_second_frame(picture):
        raise UnreadableImage(
            f"{image_format.upper()} holds several frames, expected one picture a file"
        )


def _has_second_frame(picture: Image.Image) -> bool:
    # Asking for `n_frames` walks the whole chain of a TIFF; its second link is enough.
    if getattr(picture, "is_animated", None) is True and picture.format == "PNG":
        return True
    if picture.format != "TIFF":
        return False
    try:
        picture.seek(1)
    except EOFError:
        return False
    return True


def _notes(picture: Image.Image) -> list[str]:
    notes = []
    if picture.format == "MPO":
        notes.append("JPEG holds further pictures; the first was taken")
    if picture.mode in {"LA", "RGB", "RGBA"} and ";16" in str(getattr(picture, "tile", "")):
        notes.append("16 bits a channel were reduced to 8")
    if picture.getexif().get(0x0112, 1) != 1:
        notes.append("orientation of the metadata was applied")
    return notes


def _to_pixels(picture: Image.Image) -> tuple[NDArray[np.generic], list[str]]:
    """Return (c, 1, y, x) pixels and what was dropped on the way."""
    match picture.mode:
        case "L" | "RGB":
            return _as_channels(np.asarray(picture)), []
        case "1":
            return _as_channels(np.asarray(picture.convert("L"))), []
        case "LA" | "RGBA" | "La" | "RGBa" | "PA" | "P" | "RGBX":
            return _without_alpha(picture)
        case "CMYK" | "YCbCr":
            converted = np.asarray(picture.convert("RGB"))
            return _as_channels(converted), [f"{picture.mode} was converted to RGB"]
        case "F" | "I" | "I;16" | "I;16B" | "I;16L" | "I;16N":
            return _as_channels(np.asarray(picture).astype(np.float32)), []
        case other:
            raise UnsupportedImage(
                f"picture of mode {other}, expected grey, RGB, palette, CMYK or float"
            )


def _without_alpha(picture: Image.Image) -> tuple[NDArray[np.generic], list[str]]:
    channels = np.asarray(picture.convert("RGBA"))
    notes = [] if channels[..., 3].min() == 255 else ["transparency was dropped"]
    grey = picture.mode in {"LA", "La"}
    return _as_channels(channels[..., 0] if grey else channels[..., :3]), notes


def _as_channels(values: NDArray[np.generic]) -> NDArray[np.generic]:
    cells = values[..., None] if values.ndim == 2 else values  # (y, x, c)
    return np.ascontiguousarray(np.moveaxis(cells, -1, 0)[:, None])
