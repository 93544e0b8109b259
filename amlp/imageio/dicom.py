"""DICOM images, single and multi-frame, as modality values.

Applied: decompression, palette, YBR to RGB, the modality LUT or rescale (per frame where the file
gives it so), inversion of MONOCHROME1. Not applied: VOI windows, which are a choice of display.
Pixels of the padding value become the smallest real value. 8-bit pictures without rescale stay
uint8.
"""

import hashlib
import io
import re
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from amlp.errors import UnreadableImage, UnsupportedImage
from amlp.imageio.decoding import decoding, require_finite
from amlp.imageio.dicom_geometry import (
    FrameGeometry,
    check_native_length,
    frame_geometry,
    spacing_of,
)
from amlp.imageio.dicom_structure import DicomStructure, check_structure
from amlp.imageio.dicom_values import to_channels
from amlp.imageio.image import MedicalImage
from amlp.imageio.limits import ImageLimits, read_bytes

# Pixel data that are not a picture of a patient: segmentations and dose grids.
_NOT_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "label map segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "dose grid",
}
_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def read_dicom(path: Path, limits: ImageLimits) -> MedicalImage:
    """Read a DICOM file as (c, z, y, x), z being its frames.

    The patient key is a hash of PatientID and its issuer: enough to group. Short identifiers can be
    guessed from it, so whoever stores it keys it again with a secret.

    Raises:
        UnreadableImage: damaged, or its attributes contradict each other.
        UnsupportedImage: no pixel data, not an image, or an unknown transfer syntax.
        ImageTooLarge: above a limit.
    """
    data = read_bytes(path, limits)
    structure = check_structure(data, limits)
    # Validation would write bad values, which may name a patient, into the log.
    with decoding("DICOM file"), disable_value_validation():
        # A file without preamble has been walked by now, so reading it cannot run away.
        dataset = pydicom.dcmread(io.BytesIO(data), force=not structure.has_preamble)
        _check_kind(dataset, structure)
        geometry = frame_geometry(dataset)
        limits.check_grid(
            geometry.rows,
            geometry.columns,
            frames=geometry.frames,
            pixel_bytes=geometry.samples * max(1, geometry.bits_allocated // 8),
        )
        if not UID(structure.transfer_syntax).is_compressed:
            check_native_length(dataset, geometry)
        stored = _decode(dataset, structure, geometry)
        pixels, value_notes = to_channels(dataset, stored, geometry)
        spacing, spacing_notes = spacing_of(dataset, geometry.frames)
        notes = (*value_notes, *spacing_notes, *_privacy_notes(dataset))
        patient, modality = _patient_key(dataset), _modality(dataset)
    require_finite(pixels)
    return MedicalImage(
        pixels, spacing_mm=spacing, patient=patient, modality=modality, warnings=notes
    )


def _check_kind(dataset: Dataset, structure: DicomStructure) -> None:
    if not structure.has_pixels or not any(name in dataset for name in _PIXEL_KEYWORDS):
        raise UnsupportedImage("DICOM file holds no pixel data, expected an image")
    kind = _NOT_IMAGES.get(str(dataset.get("SOPClassUID", "")))
    if kind is not None:
        raise UnsupportedImage(f"DICOM file is a {kind}, expected an image")
    try:
        is_decodable = get_decoder(UID(structure.transfer_syntax)).is_available
    except NotImplementedError:
        is_decodable = False
    if not is_decodable:
        raise UnsupportedImage(f"DICOM transfer syntax {structure.transfer_syntax} has no decoder")


def _decode(
    dataset: Dataset, structure: DicomStructure, geometry: FrameGeometry
) -> NDArray[np.generic]:
    """Return (z, y, x, samples) stored values, colour as RGB."""
    if not getattr(dataset, "file_meta", None) or "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID(structure.transfer_syntax)
    stored = np.asarray(pixel_array(dataset))
    shape = (geometry.frames, geometry.rows, geometry.columns, geometry.samples)
    if stored.size != np.prod(shape, dtype=object):
        raise UnreadableImage(
            f"DICOM pixel data decode to shape {stored.shape}, expected {shape} from the header"
        )
    return stored.reshape(shape)


def _privacy_notes(dataset: Dataset) -> list[str]:
    if str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        return ["BurnedInAnnotation is YES: the pixels may show patient data"]
    return []


def _patient_key(dataset: Dataset) -> str | None:
    patient_id = str(dataset.get("PatientID", "") or "").strip()
    if not patient_id:
        return None
    issuer = str(dataset.get("IssuerOfPatientID", "") or "").strip()
    return hashlib.sha256(f"{issuer}\0{patient_id}".encode(errors="replace")).hexdigest()[:32]


def _modality(dataset: Dataset) -> str | None:
    modality = str(dataset.get("Modality", "") or "").strip()
    return modality if re.fullmatch(r"[A-Z]{1,16}", modality) else None
