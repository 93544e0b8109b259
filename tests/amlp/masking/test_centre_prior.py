"""The centre control."""

import math

import torch

from amlp.config import CentrePriorConfig, PretrainConfig
from amlp.masking import CentrePrior, build_clustering


def test_the_score_is_the_gaussian_of_the_distance_from_the_centre() -> None:
    score = CentrePrior(CentrePriorConfig(width=0.5), 8)(torch.rand(1, 1, 24, 32)).score

    for row in range(3):
        for column in range(4):
            down, across = (2 * row + 1) / 3 - 1, (2 * column + 1) / 4 - 1
            expected = math.exp(-(down**2 + across**2) / (2 * 0.5**2))
            assert math.isclose(float(score[0, 4 * row + column]), expected, rel_tol=1e-5)


def test_it_sees_no_pixel() -> None:
    prior = CentrePrior(CentrePriorConfig(), 8)

    first, second = prior(torch.rand(1, 3, 64, 64)), prior(torch.zeros(1, 3, 64, 64))

    assert torch.equal(first.score, second.score)
    assert torch.equal(first.lesion, second.lesion)


def test_the_label_is_the_middle_and_no_image_is_degenerate() -> None:
    seen = CentrePrior(CentrePriorConfig(), 8)(torch.zeros(2, 1, 80, 80))

    label = seen.lesion[0].view(10, 10)
    assert label[4:6, 4:6].all()
    assert not label[0].any()
    assert not seen.degenerate.any()


def test_a_run_can_name_it() -> None:
    config = PretrainConfig(masking={"clustering": {"rule": "centre"}})

    assert isinstance(build_clustering(config.masking.clustering, 16), CentrePrior)
