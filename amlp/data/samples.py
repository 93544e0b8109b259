"""Samples of a split held in memory: decoded and resized once, so that a step waits for nothing."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from amlp.data.dataset import Dataset
from amlp.data.resize import resize_images, resize_label_maps
from amlp.errors import DataError, EmptyDataset, GeometryMismatch
from amlp.imageio import read_image, read_label_map
from amlp.manifest import Case

_STORED_OVER_INPUT = 8 / 7  # 256 pixels for an input of 224: a crop then loses little
_MEMORY_SHARE = 0.6
_DEVICE_SHARE = 0.25


class Slices(NamedTuple):
    """All slices of one case: images (z, c, h, w), uint8 or float32, and label maps (z, h, w)."""

    images: Tensor
    masks: Tensor | None


@dataclass(frozen=True)
class Samples:
    """Slices of many cases at one size.

    Attributes:
        images: (s, c, r, r), uint8 or float32.
        masks: (s, r, r), None where the split is read without labels.
        case_index: which of `cases` a slice belongs to.
        cases: in the manifest's order.
    """

    images: Tensor
    masks: UInt8[Tensor, "s r r"] | None
    case_index: Int64[Tensor, " s"]
    cases: tuple[Case, ...]

    def __len__(self) -> int:
        return len(self.images)

    def on(self, device: torch.device) -> "Samples":
        """Return the samples on `device` where they fit easily, otherwise pinned in RAM."""
        if device.type != "cuda":
            return self
        free, _ = torch.cuda.mem_get_info(device)
        size = self.images.nbytes + (0 if self.masks is None else self.masks.nbytes)
        if size < _DEVICE_SHARE * free:
            masks = None if self.masks is None else self.masks.to(device)
            return replace(self, images=self.images.to(device), masks=masks)
        masks = None if self.masks is None else self.masks.pin_memory()
        return replace(self, images=self.images.pin_memory(), masks=masks)


def load_samples(
    dataset: Dataset, cases: Sequence[Case], *, resolution: int, labelled: bool, drop_flat: bool
) -> Samples:
    """Decode the slices of `cases` and resize each to `resolution` x `resolution` pixels.

    Args:
        dataset: where the cases' files are.
        cases: what to read; all with masks where `labelled`.
        resolution: side of the stored slices, pixels.
        labelled: also read the label maps.
        drop_flat: leave out slices of one single value (nothing to learn from).

    Raises:
        EmptyDataset: no slice is left.
        DataError: the samples would not fit into memory, or a file cannot be read.
    """
    _check_memory(cases, dataset.manifest.channels * resolution**2)
    size = (resolution, resolution)

    def load(case: Case) -> Slices:
        slices = read_slices(dataset, case, labelled=labelled)
        masks = None if slices.masks is None else resize_label_maps(slices.masks, size)
        return Slices(_resized(slices.images, size), masks)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # decoders release the GIL
        loaded = list(pool.map(load, cases))
    kept = [_varied(slices.images) if drop_flat else slice(None) for slices in loaded]
    parts = [slices.images[keep] for slices, keep in zip(loaded, kept, strict=True)]
    if not sum(len(part) for part in parts):
        raise EmptyDataset(f"none of the {len(cases)} cases holds an image with any contrast")
    masks = [s.masks[keep] for s, keep in zip(loaded, kept, strict=True) if s.masks is not None]
    return Samples(
        images=torch.cat(_one_type(parts)),
        masks=torch.cat(masks) if labelled else None,
        case_index=torch.from_numpy(np.repeat(np.arange(len(parts)), [len(p) for p in parts])),
        cases=tuple(cases),
    )


def stored_resolution(image_size: int) -> int:
    """Return the side at which samples of a network input of `image_size` pixels are stored."""
    return round(image_size * _STORED_OVER_INPUT)


def read_slices(dataset: Dataset, case: Case, *, labelled: bool) -> Slices:
    """Read the slices of one case at their own size.

    Raises:
        DataError: a file cannot be read, or image and label map differ in size.
    """
    image = read_image(dataset.root / case.image).as_channels(dataset.manifest.channels)
    kind = np.uint8 if image.pixels.dtype == np.uint8 else np.float32
    pixels = np.array(image.pixels.transpose(1, 0, 2, 3), dtype=kind, order="C")  # (z, c, h, w)
    if not labelled:
        return Slices(torch.from_numpy(pixels), None)
    if case.mask is None:
        raise DataError(f"case {case.case_id} has no mask, expected one")
    num_classes = dataset.manifest.num_classes
    labels = read_label_map(dataset.root / case.mask, num_classes=num_classes).values
    if labels.shape != (image.num_slices, *image.size):
        raise GeometryMismatch(
            f"the mask of case {case.case_id} has {labels.shape} (z, y, x), "
            f"expected the image's {(image.num_slices, *image.size)}"
        )
    return Slices(torch.from_numpy(pixels), torch.from_numpy(np.array(labels, order="C")))


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    resized = resize_images(images.float(), size)
    if images.dtype == torch.uint8:
        return resized.round().clamp(0, 255).to(torch.uint8)
    return resized


def _varied(images: Tensor) -> Tensor:
    flat = images.flatten(1)
    return flat.amax(1) > flat.amin(1)


def _one_type(parts: list[Tensor]) -> list[Tensor]:
    if all(part.dtype == torch.uint8 for part in parts):
        return parts
    return [part.float() for part in parts]


def _check_memory(cases: Sequence[Case], slice_values: int) -> None:
    needed = sum(case.num_slices for case in cases) * slice_values * 4
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > _MEMORY_SHARE * available:
        raise DataError(
            f"the samples need up to {needed / 2**30:.1f} GiB of memory, expected at most "
            f"{_MEMORY_SHARE * available / 2**30:.1f} GiB: use a smaller image_size or fewer cases"
        )
