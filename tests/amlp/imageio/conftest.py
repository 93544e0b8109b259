"""Small real files, written on the spot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def picture_file(tmp_path: Path) -> Callable[..., Path]:
    """Write an array as a picture and return its path."""

    def write(values: np.ndarray, name: str = "picture.png", **options: Any) -> Path:
        path = tmp_path / name
        Image.fromarray(values).save(path, **options)
        return path

    return write


@pytest.fixture
def dicom_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a small MONOCHROME2 image with the given attributes (None removes one)."""

    def write(values: np.ndarray, name: str = "image.dcm", **attributes: Any) -> Path:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset = FileDataset(name, {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID = SecondaryCaptureImageStorage
        dataset.Modality = "US"
        dataset.PatientID = "made-up-1"
        frames, rows, columns = values.shape
        dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, columns, frames
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 8 * values.dtype.itemsize
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(values.dtype.kind == "i")
        dataset.PixelData = values.tobytes()
        for keyword, value in attributes.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write
