"""Labelled samples in the form that a segmenter's way of predicting asks for."""

from collections.abc import Sequence
from typing import NamedTuple, assert_never

import numpy as np
import torch
from torch import Tensor

from amlp.config import FinetuneConfig, ResizeConfig, SlidingWindowConfig
from amlp.data.dataset import Dataset
from amlp.data.samples import Slices, load_samples, read_slices, stored_resolution
from amlp.data.source import BatchSource, ResizedSource, WindowSource, split_slices
from amlp.errors import EmptyDataset
from amlp.manifest import Case

_STACK_SIZE = 64


class Stack(NamedTuple):
    """Slices of one size, as read: (b, c, h, w), (b, h, w), and the case of each, (b,)."""

    images: Tensor
    masks: Tensor
    case_index: Tensor


def labelled_source(
    dataset: Dataset, cases: Sequence[Case], config: FinetuneConfig, *, device: torch.device
) -> BatchSource:
    """Return training batches of the given labelled cases.

    Raises:
        EmptyDataset: there is no case, or no label map marks a single lesion pixel.
    """
    if not cases:
        raise EmptyDataset("no case of the train split has a label map, expected at least one")
    match config.inference:
        case ResizeConfig():
            samples = load_samples(
                dataset,
                cases,
                resolution=stored_resolution(config.image_size),
                labelled=True,
                drop_flat=True,
            )
            _require_lesion(samples.masks, len(cases))
            return ResizedSource(samples.on(device), config.augmentation, config.image_size)
        case SlidingWindowConfig():
            slices = tuple(
                part
                for case in cases
                for part in split_slices(*_with_masks(read_slices(dataset, case, labelled=True)))
            )
            _require_lesion(torch.stack([part.masks.amax() for part in slices]), len(cases))
            return WindowSource(slices, config.augmentation, config.image_size)
        case _:
            assert_never(config.inference)


def labelled_stacks(dataset: Dataset, cases: Sequence[Case], config: FinetuneConfig) -> list[Stack]:
    """Return the slices of the given labelled cases, not augmented, for validation."""
    if not cases:
        return []
    match config.inference:
        case ResizeConfig():
            samples = load_samples(
                dataset, cases, resolution=config.image_size, labelled=True, drop_flat=False
            )
            images, masks = _with_masks(Slices(samples.images, samples.masks))
            index = samples.case_index
            parts = (torch.split(part, _STACK_SIZE) for part in (images, masks, index))
            return [Stack(*stack) for stack in zip(*parts, strict=True)]
        case SlidingWindowConfig():
            slices = [_with_masks(read_slices(dataset, case, labelled=True)) for case in cases]
            return [
                Stack(images, masks, torch.full((len(images),), number))
                for number, (images, masks) in enumerate(slices)
            ]
        case _:
            assert_never(config.inference)


def largest_lesion_slice(dataset: Dataset, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return the slice (c, y, x) of a labelled case that shows most lesion, and its labels."""
    images, masks = _with_masks(read_slices(dataset, case, labelled=True))
    number = int((masks > 0).sum((1, 2)).argmax())
    return images[number].numpy(), masks[number].numpy()


def _with_masks(slices: Slices) -> tuple[Tensor, Tensor]:
    if slices.masks is None:
        raise EmptyDataset("label maps were not read, expected labelled slices")
    return slices.images, slices.masks


def _require_lesion(masks: Tensor | None, num_cases: int) -> None:
    if masks is None or not bool(masks.any()):
        raise EmptyDataset(
            f"no lesion at all: the label maps of the {num_cases} training cases are empty"
        )
