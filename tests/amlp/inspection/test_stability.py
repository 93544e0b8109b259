"""Agreement of labels under flips and crops."""

import pytest
import torch
from sklearn.metrics import cohen_kappa_score

from amlp.data import NUM_DRAWS, augment
from amlp.inspection.stability import (
    CROPS,
    agreement_counts,
    crop_agreement,
    flip_agreement,
    kappa,
)
from amlp.masking import Categories
from amlp.patches import patchify


def bright(images):
    """Label the patches that are brighter than half: it moves with the image."""
    score = patchify(images, 8).mean(2)
    return Categories(score > 0.5, score, torch.zeros(len(images), dtype=torch.bool))


def left_half(images):
    """Label the left half, whatever the image: it does not move."""
    lesion = torch.zeros(len(images), 8, 8, dtype=torch.bool)
    lesion[:, :, :4] = True
    lesion = lesion.flatten(1)
    return Categories(lesion, lesion.float(), torch.zeros(len(images), dtype=torch.bool))


def blobs(count=8):
    coarse = (torch.rand(count, 1, 4, 4) > 0.5).float()
    return coarse.repeat_interleave(16, 2).repeat_interleave(16, 3)


def test_kappa_agrees_with_scikit_learn() -> None:
    first = torch.rand(500) > 0.7
    second = first ^ (torch.rand(500) > 0.8)

    value = kappa(agreement_counts(first, second))

    assert value == pytest.approx(cohen_kappa_score(first.numpy(), second.numpy()))


def test_kappa_of_one_answer_only_is_one() -> None:
    nothing = torch.zeros(9, dtype=torch.bool)

    assert kappa(agreement_counts(nothing, nothing)) == 1


def test_a_label_that_moves_with_the_image_agrees_fully_with_its_mirror_image() -> None:
    counts = flip_agreement(blobs(), categorize=bright, patch_size=8)

    assert kappa(counts) == 1


def test_a_label_that_stays_put_disagrees_with_its_mirror_image() -> None:
    counts = flip_agreement(blobs(), categorize=left_half, patch_size=8)

    assert kappa(counts) == -1


def test_a_label_that_moves_with_the_image_agrees_on_crops() -> None:
    images, uniforms = blobs(32), torch.rand(32, NUM_DRAWS)
    crops = augment(images, uniforms, config=CROPS, image_size=64)

    counts = crop_agreement(images, crops, uniforms, categorize=bright, patch_size=8)

    assert kappa(counts) > 0.85
    assert counts.sum() == 32 * 64
