"""Batches of augmented, z-scored samples: whole images, or windows at their own resolution."""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from amlp.config import AugmentationConfig
from amlp.data.augmentation import NUM_DRAWS, augment, augment_label_maps
from amlp.data.samples import Samples
from amlp.data.standardise import standardise
from amlp.errors import EmptyDataset

_WINDOW_DRAWS = 3
_FOREGROUND_SHARE = 0.5


class Batch(NamedTuple):
    """Network input: z-scored images and, for supervised training, label maps."""

    images: Float[Tensor, "b c s s"]
    masks: UInt8[Tensor, "b s s"] | None

    @property
    def labels(self) -> UInt8[Tensor, "b s s"]:
        """The label maps of a batch that was loaded with them.

        Raises:
            EmptyDataset: it was not.
        """
        if self.masks is None:
            raise EmptyDataset("the batch holds no label maps, expected labelled samples")
        return self.masks


class LabelledSlice(NamedTuple):
    """One z-scored slice (1, c, h, w) at its own size with its label map (1, h, w)."""

    images: Tensor
    masks: Tensor


@runtime_checkable
class BatchSource(Protocol):
    """Samples that can be drawn as batches; the result depends on the arguments only."""

    @property
    def num_draws(self) -> int:
        """Random numbers that the augmentation of one sample takes."""

    def __len__(self) -> int:
        """Number of samples."""

    def batch(
        self, indices: NDArray[np.int64], uniforms: NDArray[np.float64], device: torch.device
    ) -> Batch:
        """Return the samples `indices`, augmented by `uniforms` (b, num_draws), on `device`."""


@dataclass(frozen=True)
class ResizedSource:
    """Whole images: crop, flip and rotate on the device, then z-score."""

    samples: Samples
    augmentation: AugmentationConfig
    image_size: int
    num_draws: int = NUM_DRAWS

    def __len__(self) -> int:
        return len(self.samples)

    def batch(
        self, indices: NDArray[np.int64], uniforms: NDArray[np.float64], device: torch.device
    ) -> Batch:
        """Return the samples `indices`, augmented by `uniforms` (b, num_draws), on `device`."""
        where = torch.from_numpy(indices).to(self.samples.images.device)
        draws = torch.from_numpy(uniforms).float().to(device, non_blocking=True)
        images = self.samples.images.index_select(0, where).to(device, non_blocking=True).float()
        moved = augment(images, draws, config=self.augmentation, image_size=self.image_size)
        if self.samples.masks is None:
            return Batch(standardise(moved), None)
        masks = self.samples.masks.index_select(0, where).to(device, non_blocking=True)
        labels = augment_label_maps(
            masks, draws, config=self.augmentation, image_size=self.image_size
        )
        return Batch(standardise(moved), labels)


@dataclass(frozen=True)
class WindowSource:
    """Windows of images at their own resolution, half of them centred on foreground.

    The z-score is that of the whole slice, as sliding-window prediction sees it.

    Attributes:
        slices: what `split_slices` returns, of any sizes.
        augmentation: its crop is taken from a window drawn large enough that zoom centres on 1.
        image_size: side of the result, pixels.
    """

    slices: tuple[LabelledSlice, ...]
    augmentation: AugmentationConfig
    image_size: int
    num_draws: int = _WINDOW_DRAWS + NUM_DRAWS

    def __len__(self) -> int:
        return len(self.slices)

    def batch(
        self, indices: NDArray[np.int64], uniforms: NDArray[np.float64], device: torch.device
    ) -> Batch:
        """Return windows of the samples `indices`, placed and augmented by `uniforms`."""
        side = self._window_side()
        windows = [
            _window(self.slices[index], draws, side)
            for index, draws in zip(indices, uniforms[:, :_WINDOW_DRAWS], strict=True)
        ]
        images = torch.cat([window.images for window in windows]).to(device)
        masks = torch.cat([window.masks for window in windows]).to(device)
        draws = torch.from_numpy(uniforms[:, _WINDOW_DRAWS:]).float().to(device)
        return Batch(
            augment(images, draws, config=self.augmentation, image_size=self.image_size),
            augment_label_maps(masks, draws, config=self.augmentation, image_size=self.image_size),
        )

    def _window_side(self) -> int:
        low, high = self.augmentation.crop_scale
        return round(self.image_size * 2 / (math.sqrt(low) + math.sqrt(high)))


def split_slices(images: Tensor, masks: Tensor) -> tuple[LabelledSlice, ...]:
    """Return the slices of a case, (z, c, h, w) and (z, h, w), as `WindowSource` takes them."""
    slices = torch.split(standardise(images.float()), 1)
    return tuple(
        LabelledSlice(image, mask)
        for image, mask in zip(slices, torch.split(masks, 1), strict=True)
    )


def _window(sample: LabelledSlice, draws: NDArray[np.float64], side: int) -> LabelledSlice:
    """Cut a window of `side` pixels, padded with zeros where the slice is smaller."""
    height, width = sample.masks.shape[-2:]
    pad = (0, max(0, side - width), 0, max(0, side - height))
    row, column = _centre(sample.masks, draws)
    top = min(max(row - side // 2, 0), max(0, height - side))
    left = min(max(column - side // 2, 0), max(0, width - side))
    rows, columns = slice(top, top + side), slice(left, left + side)
    return LabelledSlice(
        functional.pad(sample.images[..., rows, columns], pad),
        functional.pad(sample.masks[..., rows, columns], pad),
    )


def _centre(masks: Tensor, draws: NDArray[np.float64]) -> tuple[int, int]:
    height, width = masks.shape[-2:]
    foreground = np.flatnonzero(masks.numpy())
    if draws[0] < _FOREGROUND_SHARE and len(foreground):
        pixel = int(foreground[int(draws[1] * len(foreground))])
        return pixel // width, pixel % width
    return int(draws[1] * height), int(draws[2] * width)
