"""Canonical files: deterministic bytes, no metadata but geometry, and the same pixels when read."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from amlp.imageio.image import MedicalImage
from amlp.imageio.masks import LabelMap

# Both fast settings: canonical files are written once and read many times.
_PNG_LEVEL = 4
_GZIP_LEVEL = 3
_NIFTI1_MAX_LENGTH = 32767
_UNKNOWN_CODE, _SCANNER_CODE = 0, 1


def write_canonical(image: MedicalImage, folder: Path, stem: str) -> Path:
    """Write an image and return its path.

    A uint8 picture of 1 or 3 channels becomes a PNG, whose spacing is left to the manifest; all
    else becomes NIfTI with spacing and affine.

    Args:
        image: any image.
        folder: existing folder.
        stem: name without suffix; an existing file is replaced.
    """
    if _is_picture(image):
        return _write_png(np.moveaxis(image.pixels[:, 0], 0, -1), folder / f"{stem}.png")
    volume = image.pixels.transpose(3, 2, 1, 0)  # (x, y, z, c)
    volume = volume[..., 0] if image.channels == 1 else volume
    return _write_nifti(volume, image.spacing_mm, image.affine, folder / f"{stem}.nii.gz")


def write_label_map(label_map: LabelMap, folder: Path, stem: str) -> Path:
    """Write labels and return their path: PNG for one slice without affine, NIfTI otherwise."""
    if label_map.values.shape[0] == 1 and label_map.affine is None:
        return _write_png(label_map.values[0, ..., None], folder / f"{stem}.png")
    return _write_nifti(
        label_map.values.transpose(2, 1, 0),
        label_map.spacing_mm,
        label_map.affine,
        folder / f"{stem}.nii.gz",
    )


def _is_picture(image: MedicalImage) -> bool:
    return (
        image.pixels.dtype == np.uint8
        and image.channels in {1, 3}
        and image.num_slices == 1
        and image.affine is None
    )


def _write_png(cells: NDArray[Any], path: Path) -> Path:
    """Write (y, x, c) uint8 values."""
    picture = Image.fromarray(cells[..., 0] if cells.shape[-1] == 1 else cells)
    picture.save(path, format="PNG", compress_level=_PNG_LEVEL)
    return path


def _write_nifti(
    volume: NDArray[Any],
    spacing_mm: tuple[float, float, float] | None,
    affine: NDArray[np.float64] | None,
    path: Path,
) -> Path:
    """Write (x, y, z) or (x, y, z, c) values; codes of 0 say that there is no affine."""
    kind = nib.Nifti2Image if max(volume.shape) > _NIFTI1_MAX_LENGTH else nib.Nifti1Image
    stored = volume if volume.dtype == np.uint8 else volume.astype(np.float32)
    picture = kind(stored, affine)
    picture.header.set_xyzt_units("unknown" if spacing_mm is None else "mm")
    if affine is None:
        zooms = (1.0, 1.0, 1.0) if spacing_mm is None else spacing_mm[::-1]
        picture.header.set_zooms((*zooms, *([1.0] * (volume.ndim - 3))))
        picture.header.set_sform(None, _UNKNOWN_CODE)
        picture.header.set_qform(None, _UNKNOWN_CODE)
    else:
        picture.set_sform(affine, _SCANNER_CODE)
        picture.set_qform(None, _UNKNOWN_CODE)
    path.write_bytes(gzip.compress(picture.to_bytes(), _GZIP_LEVEL, mtime=0))
    return path
