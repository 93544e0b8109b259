import pytest
import torch

from amlp.config import FinetuneConfig
from amlp.errors import GeometryMismatch
from amlp.models import build_segmenter, class_probabilities, num_logits

SMALL = FinetuneConfig(
    image_size=32,
    patch_size=8,
    encoder={"embed_dim": 16, "depth": 4, "num_heads": 2},
    head={"name": "unetr2d", "channels": 8},
)


@pytest.mark.parametrize(("num_classes", "expected"), [(2, 1), (3, 3), (5, 5)])
def test_two_classes_need_one_logit_and_more_one_each(num_classes, expected):
    segmenter = build_segmenter(SMALL, 3, num_classes)

    logits = segmenter(torch.randn(2, 3, 32, 32))

    assert num_logits(num_classes) == expected
    assert logits.shape == (2, expected, 32, 32)


def test_single_logit_is_the_log_odds_of_the_lesion():
    logits = torch.tensor([0.0, 1.0, -2.0]).view(1, 1, 1, 3)

    probabilities = class_probabilities(logits)

    expected = [0.5, 0.731059, 0.119203]
    assert probabilities[0, 1, 0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("k", [1, 3])
def test_probabilities_sum_to_1(k):
    probabilities = class_probabilities(10 * torch.randn(2, k, 4, 4))

    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2, 4, 4))


def test_probabilities_of_bf16_logits_are_float32():
    assert class_probabilities(torch.randn(1, 1, 2, 2).bfloat16()).dtype == torch.float32


def test_images_of_another_size_are_refused():
    with pytest.raises(GeometryMismatch):
        build_segmenter(SMALL, 3, 2)(torch.zeros(1, 3, 64, 64))


def test_encoder_drops_paths_in_training_only():
    segmenter, images = build_segmenter(SMALL, 1, 2).eval(), torch.randn(1, 1, 32, 32)

    assert torch.equal(segmenter(images), segmenter(images))
    assert segmenter.encoder.blocks[-1].drop_path.drop_prob == pytest.approx(0.1)


def test_a_few_steps_learn_a_bright_square():
    torch.manual_seed(0)
    segmenter = build_segmenter(SMALL, 1, 2)
    truth = torch.zeros(4, 1, 32, 32)
    for index, (y, x) in enumerate([(2, 3), (15, 4), (6, 18), (17, 15)]):
        truth[index, :, y : y + 11, x : x + 9] = 1
    images = truth + 0.3 * torch.randn(truth.shape)
    optimizer = torch.optim.AdamW(segmenter.parameters(), lr=3e-3)

    for _ in range(40):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(segmenter(images), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    predicted = segmenter.eval()(images) > 0
    dice = 2 * (predicted & truth.bool()).sum() / (predicted.sum() + truth.sum())
    assert dice > 0.9
