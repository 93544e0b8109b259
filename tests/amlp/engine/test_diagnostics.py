"""What is logged of masks and difficulty."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from amlp.engine import category_diagnostics, difficulty_diagnostics, mask_diagnostics
from amlp.patches import PatchMask


def _mask(masked: list[int], lesion: list[int], degenerate: bool = False) -> PatchMask:
    patches = torch.tensor([lesion], dtype=torch.bool)
    return PatchMask(
        torch.tensor([masked], dtype=torch.bool),
        patches,
        patches.float(),
        torch.tensor([degenerate]),
    )


def test_shares_of_a_hand_made_mask() -> None:
    values = mask_diagnostics(_mask([1, 1, 0, 0], [1, 0, 1, 1]))

    assert float(values["lesion_share"]) == 0.75
    assert float(values["masked_lesion_share"]) == pytest.approx(1 / 3)
    assert float(values["visible_lesion_share"]) == pytest.approx(2 / 3)
    assert float(values["degenerate_share"]) == 0


def test_without_lesions_their_masked_share_is_undefined() -> None:
    values = mask_diagnostics(_mask([1, 0], [0, 0], degenerate=True))

    assert values["masked_lesion_share"].isnan()
    assert float(values["degenerate_share"]) == 1


def test_difficulties_of_hand_made_errors() -> None:
    errors = torch.tensor([[1.0, 3.0, 2.0], [5.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    lesion = torch.tensor([[0, 1, 0], [0, 1, 1], [0, 0, 0]], dtype=torch.bool)
    weights = torch.tensor([[1.0, 1.0, 1.0], [3.0, 0.0, 0.0], [1.0, 1.0, 1.0]])

    values = difficulty_diagnostics(errors, lesion, weights)

    assert float(values["difficulty/lesion"]) == pytest.approx(5 / 3)
    assert float(values["difficulty/background"]) == pytest.approx(11 / 6)
    assert float(values["harder_lesion_share"]) == 0.5
    assert float(values["effective_sample_share"]) == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert float(values["max_weight"]) == 3


def test_the_auc_agrees_with_scikit_learn() -> None:
    logits, lesion = torch.randn(4, 30), torch.rand(4, 30) > 0.7

    values = category_diagnostics(logits, torch.zeros(4, 30), lesion)

    expected = roc_auc_score(lesion.flatten().numpy(), logits.flatten().numpy())
    assert float(values["head_auc"]) == pytest.approx(expected, abs=1e-5)


def test_agreement_counts_equal_categories() -> None:
    logits = torch.tensor([[1.0, -1.0, 1.0, 1.0]])
    hard = torch.tensor([[0.9, 0.9, 0.1, 0.1]])
    lesion = torch.tensor([[True, False, False, True]])

    values = category_diagnostics(logits, hard, lesion)

    assert float(values["head_agreement"]) == 0.75
    assert float(values["difficulty_agreement"]) == 0.5


def test_one_category_has_no_auc() -> None:
    values = category_diagnostics(torch.randn(1, 4), torch.rand(1, 4), torch.zeros(1, 4).bool())

    assert values["head_auc"].isnan()
