"""Labelled samples for training and validation."""

import pytest
import torch

from amlp.data import (
    Dataset,
    ResizedSource,
    WindowSource,
    labelled_source,
    labelled_stacks,
    largest_lesion_slice,
)
from amlp.errors import EmptyDataset
from tests.tiny_runs import finetune_config

CPU = torch.device("cpu")
RESIZED = finetune_config()
SLIDING = finetune_config(inference={"mode": "sliding_window"})


def test_the_source_follows_the_way_of_predicting(volumes: Dataset) -> None:
    cases = volumes.manifest.cases

    assert isinstance(labelled_source(volumes, cases, RESIZED, device=CPU), ResizedSource)
    assert isinstance(labelled_source(volumes, cases, SLIDING, device=CPU), WindowSource)


def test_no_labelled_case_is_refused(volumes: Dataset) -> None:
    with pytest.raises(EmptyDataset, match="has a label map"):
        labelled_source(volumes, [], RESIZED, device=CPU)


@pytest.mark.parametrize("config", [RESIZED, SLIDING], ids=["resize", "sliding_window"])
def test_masks_without_any_lesion_are_refused(config: object, pictures: Dataset) -> None:
    healthy = [case for case in pictures.manifest.cases if not case.labels]

    assert healthy
    with pytest.raises(EmptyDataset, match="no lesion at all"):
        labelled_source(pictures, healthy, config, device=CPU)  # type: ignore[arg-type]


def test_resized_stacks_are_of_the_network_s_size(volumes: Dataset) -> None:
    stacks = labelled_stacks(volumes, volumes.manifest.cases, RESIZED)

    assert [tuple(stack.images.shape) for stack in stacks] == [(5, 2, 32, 32)]
    assert stacks[0].case_index.tolist() == [0, 0, 0, 1, 1]


def test_sliding_window_stacks_keep_each_case_s_size(volumes: Dataset) -> None:
    stacks = labelled_stacks(volumes, volumes.manifest.cases, SLIDING)

    assert [tuple(stack.images.shape[-2:]) for stack in stacks] == [(20, 24), (16, 16)]
    assert [stack.case_index.tolist() for stack in stacks] == [[0, 0, 0], [1, 1]]


def test_no_case_has_no_stacks(volumes: Dataset) -> None:
    assert labelled_stacks(volumes, [], RESIZED) == []


def test_the_slice_with_most_lesion_is_chosen(volumes: Dataset) -> None:
    image, labels = largest_lesion_slice(volumes, volumes.manifest.cases[0])

    assert image.shape == (2, 20, 24)
    assert labels.sum() == 25
