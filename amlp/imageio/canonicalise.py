"""One raw file becomes one canonical file: read, checked, written, described."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from amlp.errors import GeometryMismatch
from amlp.imageio.decoding import writing
from amlp.imageio.image import MedicalImage, is_grey
from amlp.imageio.limits import ImageLimits
from amlp.imageio.masks import LabelMap, read_label_map
from amlp.imageio.overlay import thumbnail
from amlp.imageio.reader import read_image
from amlp.imageio.writer import write_canonical, write_label_map

Role = Literal["image", "mask"]

_AFFINE_TOLERANCE_MM = 0.01


@dataclass(frozen=True)
class CanonicaliseJob:
    """A raw file and what to make of it.

    Attributes:
        source: the raw file; its name and suffix do not matter.
        role: whether its values are grey values or labels.
        stem: name of the canonical file, without suffix.
        num_classes: for masks, label values there may be; None accepts up to 64.
        with_thumbnail: for images, whether to write a small PNG too.
    """

    source: Path
    role: Role
    stem: str
    num_classes: int | None = None
    with_thumbnail: bool = True


@dataclass(frozen=True)
class CanonicaliseResult:
    """What came out of a job.

    Attributes:
        file: name of the canonical file in the output folder.
        thumbnail: name of a small PNG beside it, None for masks.
        sha256: hex digest of the canonical file.
        is_grey: whether all channels are equal.
        patient: opaque group key, None where unknown.
        affine: rows of the (4, 4) affine, None where the file has none.
        labels: label values above 0, for masks.
    """

    file: str
    thumbnail: str | None
    sha256: str
    channels: int
    is_grey: bool
    num_slices: int
    height: int
    width: int
    spacing_mm: tuple[float, float, float] | None
    affine: tuple[tuple[float, ...], ...] | None
    patient: str | None
    modality: str | None
    labels: tuple[int, ...]
    warnings: tuple[str, ...]


def canonicalise(
    job: CanonicaliseJob, out: Path, *, limits: ImageLimits | None = None
) -> CanonicaliseResult:
    """Read the raw file of a job and write its canonical file into `out`.

    Raises:
        DataError: the raw file cannot be used; nothing is written.
        StorageFull: no space left in `out`.
    """
    if job.role == "mask":
        label_map = read_label_map(job.source, limits=limits, num_classes=job.num_classes)
        with writing(out):
            path = write_label_map(label_map, out, job.stem)
        return replace(describe_image(path, _as_image(label_map)), labels=label_map.labels)
    image = read_image(job.source, limits=limits)
    small = out / f"{job.stem}.thumbnail.png"
    with writing(out):
        path = write_canonical(image, out, job.stem)
        if job.with_thumbnail:
            thumbnail(image).save(small, format="PNG")
    return replace(
        describe_image(path, image), thumbnail=small.name if job.with_thumbnail else None
    )


def check_same_grid(image: CanonicaliseResult, mask: CanonicaliseResult) -> None:
    """Refuse a mask that does not lie on its image's grid.

    Raises:
        GeometryMismatch: sizes differ, or both files have a position and these differ.
    """
    expected, found = ((result.num_slices, result.height, result.width) for result in (image, mask))
    if found != expected:
        raise GeometryMismatch(
            f"mask of {_size(found)} (z, y, x), expected the image's {_size(expected)}"
        )
    if image.affine is None or mask.affine is None:
        return
    z, y, x = expected
    corners = np.array([(i, j, k, 1) for i in (0, x - 1) for j in (0, y - 1) for k in (0, z - 1)])
    shift = float(np.abs(corners @ (np.array(image.affine) - np.array(mask.affine)).T).max())
    if shift > _AFFINE_TOLERANCE_MM:
        raise GeometryMismatch(
            f"mask lies up to {shift:.3g} mm beside its image, expected the same affine"
        )


def describe_image(path: Path, image: MedicalImage) -> CanonicaliseResult:
    """Return what is to be known of a canonical file and the image it holds."""
    height, width = image.size
    return CanonicaliseResult(
        file=path.name,
        thumbnail=None,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        channels=image.channels,
        is_grey=is_grey(image.pixels),
        num_slices=image.num_slices,
        height=height,
        width=width,
        spacing_mm=image.spacing_mm,
        affine=None if image.affine is None else tuple(map(tuple, image.affine.tolist())),
        patient=image.patient,
        modality=image.modality,
        labels=(),
        warnings=image.warnings,
    )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in shape)


def _as_image(label_map: LabelMap) -> MedicalImage:
    return MedicalImage(
        label_map.values[None],
        spacing_mm=label_map.spacing_mm,
        affine=label_map.affine,
        warnings=label_map.warnings,
    )
