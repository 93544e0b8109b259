"""From stored DICOM values to channels: palette, polarity, modality LUT, padding."""

from math import isfinite
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

from amlp.errors import UnreadableImage
from amlp.imageio.dicom_geometry import FrameGeometry, measures_of

# Stored values come in every integer and float type.
_Values: TypeAlias = NDArray[Any]


def to_channels(
    dataset: Dataset, stored: _Values, geometry: FrameGeometry
) -> tuple[_Values, tuple[str, ...]]:
    """Return (c, z, y, x) pixels from (z, y, x, samples) stored values, and what was changed.

    Raises:
        UnreadableImage: the palette is absent, or the rescale makes no sense.
    """
    if geometry.photometric == "PALETTE COLOR":
        return _as_channels(_apply_palette(dataset, stored[..., 0])), ()
    if geometry.samples == 3:
        pixels = stored if stored.dtype == np.uint8 else stored.astype(np.float32)
        return _as_channels(pixels), ()
    values, notes = stored[..., 0], []
    is_padding = _padding(dataset, values)
    if geometry.photometric == "MONOCHROME1":
        values = _invert(values, geometry)
        notes.append("MONOCHROME1 was inverted: bright is high")
    values = _rescale(dataset, values)
    if is_padding is not None and is_padding.any() and not is_padding.all():
        values = np.where(is_padding, values[~is_padding].min(), values)
        notes.append("padding pixels were set to the smallest real value")
    return _as_channels(values[..., None]), tuple(notes)


def _as_channels(values: _Values) -> _Values:
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


def _apply_palette(dataset: Dataset, indices: _Values) -> _Values:
    if "RedPaletteColorLookupTableDescriptor" not in dataset:
        raise UnreadableImage("PALETTE COLOR image has no palette")
    colours = apply_color_lut(indices, dataset)[..., :3]
    return (colours >> 8).astype(np.uint8) if colours.dtype == np.uint16 else colours


def _padding(dataset: Dataset, values: _Values) -> NDArray[np.bool_] | None:
    first = dataset.get("PixelPaddingValue")
    if not isinstance(first, int | float):
        return None
    last = dataset.get("PixelPaddingRangeLimit")
    last = last if isinstance(last, int | float) else first
    low, high = min(first, last), max(first, last)
    is_padding: NDArray[np.bool_] = (values >= low) & (values <= high)
    return is_padding


def _invert(values: _Values, geometry: FrameGeometry) -> _Values:
    if values.dtype.kind == "f":
        mirrored: _Values = values.max() + values.min() - values
        return mirrored
    # Two's complement turns largest into smallest: v -> -1 - v; unsigned values mirror at 2^bits.
    top = -1 if geometry.signed else 2**geometry.bits_stored - 1
    inverted = top - values.astype(np.int64)
    return inverted.astype(np.uint8) if values.dtype == np.uint8 else inverted


def _rescale(dataset: Dataset, values: _Values) -> _Values:
    if dataset.get("ModalityLUTSequence"):
        mapped: _Values = apply_modality_lut(values, dataset).astype(np.float32)
        return mapped
    factors = np.array([_slope_and_intercept(dataset, frame) for frame in range(len(values))])
    slope, intercept = factors.T[..., None, None]
    if (slope == 1).all() and (intercept == 0).all():
        return values if values.dtype == np.uint8 else values.astype(np.float32)
    rescaled: _Values = (values.astype(np.float64) * slope + intercept).astype(np.float32)
    return rescaled


def _slope_and_intercept(dataset: Dataset, frame: int) -> tuple[float, float]:
    macro = measures_of(dataset, "PixelValueTransformationSequence", frame)
    source = dataset if macro is None else macro
    slope = _number(source, "RescaleSlope", default=1.0)
    if slope == 0:
        raise UnreadableImage("RescaleSlope is 0, expected another number")
    return slope, _number(source, "RescaleIntercept", default=0.0)


def _number(dataset: Dataset, keyword: str, *, default: float) -> float:
    value = dataset.get(keyword)
    if value is None or value == "":
        return default
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise UnreadableImage(f"{keyword} is no number") from error
    if not isfinite(number):
        raise UnreadableImage(f"{keyword} is not finite, expected a number")
    return number
