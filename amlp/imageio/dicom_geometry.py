"""Size, sample layout and spacing that a DICOM data set declares, checked against each other."""

from dataclasses import dataclass
from math import isfinite, prod

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from amlp.errors import UnreadableImage, UnsupportedImage

_SAMPLES_OF = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_RCT": 3,
    "YBR_ICT": 3,
}
_FLOAT_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_CENTIMETRE = 3


@dataclass(frozen=True)
class FrameGeometry:
    """Layout of the frames; `signed` and the bits are of the stored integers, if they are that."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str


def frame_geometry(dataset: Dataset) -> FrameGeometry:
    """Return the declared layout of the frames.

    Raises:
        UnreadableImage: an attribute is absent, impossible or contradicts another.
        UnsupportedImage: a photometric interpretation without a defined meaning here.
    """
    photometric = str(dataset.get("PhotometricInterpretation", "")).strip()
    if photometric not in _SAMPLES_OF:
        raise UnsupportedImage(
            f"PhotometricInterpretation is none of {', '.join(sorted(_SAMPLES_OF))}"
        )
    float_bits = next((bits for name, bits in _FLOAT_BITS.items() if name in dataset), None)
    allocated = float_bits or _integer(dataset, "BitsAllocated")
    geometry = FrameGeometry(
        rows=_integer(dataset, "Rows"),
        columns=_integer(dataset, "Columns"),
        frames=_integer(dataset, "NumberOfFrames", default=1),
        samples=_integer(dataset, "SamplesPerPixel"),
        bits_allocated=allocated,
        bits_stored=float_bits or _integer(dataset, "BitsStored"),
        signed=not float_bits and _integer(dataset, "PixelRepresentation", default=0) == 1,
        photometric=photometric,
    )
    _check_samples(geometry)
    return geometry


def check_native_length(dataset: Dataset, geometry: FrameGeometry) -> None:
    """Refuse uncompressed pixel data of another length than the layout needs.

    Raises:
        UnreadableImage: they are shorter or longer.
    """
    samples = 2 if geometry.photometric == "YBR_FULL_422" else geometry.samples
    num_bits = prod(
        (geometry.rows, geometry.columns, geometry.frames, samples, geometry.bits_allocated)
    )
    expected = (num_bits + 7) // 8
    found = next(
        len(dataset[name].value or b"") for name in ("PixelData", *_FLOAT_BITS) if name in dataset
    )
    # A value of odd length is padded with one byte.
    if found not in {expected, expected + expected % 2}:
        raise UnreadableImage(
            f"pixel data hold {found} bytes, expected {expected} for {geometry.frames} frames of "
            f"{geometry.rows} x {geometry.columns} with {geometry.samples} samples of "
            f"{geometry.bits_allocated} bits"
        )


def spacing_of(
    dataset: Dataset, frames: int
) -> tuple[tuple[float, float, float] | None, tuple[str, ...]]:
    """Return (z, y, x) spacing in mm and what was assumed; None where it is not given or no use."""
    try:
        plane = _plane_spacing(dataset)
    except (TypeError, ValueError, AttributeError):
        plane = (0.0, 0.0)
    if plane is None:
        return None, ()
    if not all(isfinite(length) and length > 0 for length in plane):
        return None, ("pixel spacing is not two positive numbers: spacing is unknown",)
    between = _slice_spacing(dataset)
    if between is not None:
        return (between, *plane), ()
    notes = ("distance of frames is unknown, 1 mm is assumed",) if frames > 1 else ()
    return (1.0, *plane), notes


def measures_of(dataset: Dataset, keyword: str, frame: int = 0) -> Dataset | None:
    """Return the functional group macro of a frame, its own or the one shared by all."""
    for groups, index in (
        (dataset.get("PerFrameFunctionalGroupsSequence"), frame),
        (dataset.get("SharedFunctionalGroupsSequence"), 0),
    ):
        items = groups[index].get(keyword) if groups and len(groups) > index else None
        if items:
            macro: Dataset = items[0]
            return macro
    return None


def _integer(dataset: Dataset, keyword: str, *, default: int | None = None) -> int:
    value = dataset.get(keyword)
    if value in {None, ""} and default is not None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise UnreadableImage(f"{keyword} is absent or no integer") from error


def _check_samples(geometry: FrameGeometry) -> None:
    expected = _SAMPLES_OF[geometry.photometric]
    if geometry.samples != expected:
        raise UnreadableImage(
            f"SamplesPerPixel is {geometry.samples}, expected {expected} for {geometry.photometric}"
        )
    if geometry.bits_allocated not in {1, 8, 16, 32, 64}:
        raise UnreadableImage(
            f"BitsAllocated is {geometry.bits_allocated}, expected 1, 8, 16, 32 or 64"
        )
    if not 1 <= geometry.bits_stored <= geometry.bits_allocated:
        raise UnreadableImage(
            f"BitsStored is {geometry.bits_stored}, expected 1 to BitsAllocated, "
            f"{geometry.bits_allocated}"
        )


def _plane_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Return (y, x) spacing as declared, in mm, whether or not it makes sense."""
    measures = measures_of(dataset, "PixelMeasuresSequence") or Dataset()
    values = (
        measures.get("PixelSpacing"),
        dataset.get("PixelSpacing"),
        dataset.get("ImagerPixelSpacing"),
        dataset.get("NominalScannedPixelSpacing"),
    )
    declared = next((value for value in values if value), None)
    if declared is not None:
        return _pair(declared)
    regions = list(dataset.get("SequenceOfUltrasoundRegions") or [])
    # Several regions have several scales, and the picture is then not one grid.
    if len(regions) == 1 and _is_metric(regions[0]):
        return (
            abs(float(regions[0].PhysicalDeltaY)) * 10,
            abs(float(regions[0].PhysicalDeltaX)) * 10,
        )
    return None


def _pair(value: object) -> tuple[float, float]:
    if not isinstance(value, MultiValue) or len(value) != 2:
        return 0.0, 0.0
    y, x = value
    return float(y), float(x)


def _is_metric(region: Dataset) -> bool:
    return all(region.get(f"PhysicalUnits{axis}Direction") == _CENTIMETRE for axis in ("X", "Y"))


def _slice_spacing(dataset: Dataset) -> float | None:
    measures = measures_of(dataset, "PixelMeasuresSequence") or Dataset()
    for source in (measures, dataset):
        for keyword in ("SpacingBetweenSlices", "SliceThickness"):
            try:
                length = float(source.get(keyword) or 0)
            except (TypeError, ValueError):
                continue
            if isfinite(length) and length > 0:
                return length
    return None
