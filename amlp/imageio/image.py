"""The one in-memory form of every image, whatever file it came from."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from amlp.errors import GeometryMismatch, UnreadableImage


@dataclass(frozen=True)
class MedicalImage:
    """Pixels on a grid.

    Attributes:
        pixels: (c, z, y, x); z is 1 for a picture. uint8 for pictures, else float32.
        spacing_mm: (z, y, x) distance of samples, None where unknown.
        affine: (4, 4) from voxel index (x, y, z) to RAS+ mm where the file has one, else None.
        patient: opaque group key for splitting (a hash, never an identifier), None where unknown.
        modality: DICOM Modality where known.
        warnings: what was assumed or changed while reading; holds no patient data.
    """

    pixels: NDArray[np.generic]
    spacing_mm: tuple[float, float, float] | None = None
    affine: NDArray[np.float64] | None = None
    patient: str | None = None
    modality: str | None = None
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or 0 in self.pixels.shape:
            raise UnreadableImage(f"image of shape {self.pixels.shape}, expected (c, z, y, x)")

    @property
    def channels(self) -> int:
        """Number of channels c."""
        return int(self.pixels.shape[0])

    @property
    def num_slices(self) -> int:
        """Number of slices or frames z."""
        return int(self.pixels.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[2], self.pixels.shape[3]

    def as_channels(self, channels: int) -> "MedicalImage":
        """Return the image with `channels` channels.

        Grey is grey, whether stored in one channel or in three equal ones; nothing else is
        converted.

        Raises:
            GeometryMismatch: the channel counts differ otherwise.
        """
        if self.channels == channels:
            return self
        if (self.channels, channels) == (1, 3):
            repeated = np.repeat(self.pixels, 3, axis=0)
            note = "grey was repeated in three channels"
            return replace(self, pixels=repeated, warnings=(*self.warnings, note))
        if (self.channels, channels) == (3, 1) and is_grey(self.pixels):
            return replace(self, pixels=self.pixels[:1])
        raise GeometryMismatch(f"image has {self.channels} channels, expected {channels}")


def is_grey(pixels: NDArray[np.generic]) -> bool:
    """Whether all channels of (c, z, y, x) pixels are equal."""
    return bool((pixels == pixels[:1]).all())
