import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from amlp.config import CategoryConsistencyConfig
from amlp.losses import (
    category_consistency_loss,
    category_targets,
    difficulty_categories,
    difficulty_share,
)

ERRORS = torch.tensor([[0.1, 0.2, 0.3, 1.4]])
LESION = torch.tensor([[True, False, False, True]])
CCL = CategoryConsistencyConfig()


def bce(logits, targets):
    return binary_cross_entropy(logits.sigmoid(), targets)


def test_difficulty_categories_equal_the_hand_worked_values():
    q = difficulty_categories(ERRORS, LESION, 0.5)

    assert q[0].tolist() == pytest.approx([0.3608, 0.4525, 0.5475, 0.9877], abs=1e-4)


def test_difficulty_is_measured_from_the_mean_without_lesions():
    q = difficulty_categories(ERRORS, torch.zeros_like(LESION), 0.5)

    assert q[0].tolist() == pytest.approx([0.1786, 0.2416, 0.3180, 0.9687], abs=1e-4)


def test_difficulty_is_measured_from_the_mean_where_all_are_lesions():
    every, none = torch.ones_like(LESION), torch.zeros_like(LESION)

    q = difficulty_categories(ERRORS, every, 0.5)

    assert torch.equal(q, difficulty_categories(ERRORS, none, 0.5))


def test_refined_targets_and_their_loss_equal_the_hand_worked_values():
    targets = category_targets(ERRORS, LESION, LESION.float(), CCL, 1.0)
    logits = torch.tensor([[0.6, 0.3, 0.2, 0.9]]).logit()

    assert targets[0].tolist() == pytest.approx([0.6804, 0.2262, 0.2738, 0.9939], abs=1e-4)
    loss = category_consistency_loss(logits, targets, CCL)
    assert loss.item() == pytest.approx(0.47758, abs=1e-5)


def test_as_many_patches_are_hard_as_are_lesions():
    errors, lesion = torch.rand(64, 30), torch.rand(64, 30) < torch.rand(64, 1)
    lesion[:, 0], lesion[:, 1] = True, False

    q = difficulty_categories(errors, lesion, 0.5)

    assert torch.equal((q > 0.5).sum(dim=1), lesion.sum(dim=1))


def test_harder_patches_have_a_higher_category():
    errors = torch.rand(8, 30).sort(dim=1).values

    q = difficulty_categories(errors, torch.rand(8, 30) < 0.3, 0.5)

    assert (q.diff(dim=1) >= 0).all()


@pytest.mark.parametrize("errors", [torch.zeros(2, 5), torch.full((2, 5), 0.3), torch.rand(2, 1)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_equal_errors_give_undecided_categories(errors, share):
    lesion = torch.rand(errors.shape) < share

    q = difficulty_categories(errors, lesion, 0.5)

    torch.testing.assert_close(q, torch.full_like(q, 0.5))


@pytest.mark.parametrize(
    ("progress", "eta"), [(0.0, 0), (0.05, 0), (0.1, 0.125), (0.15, 0.25), (0.25, 0.5), (1.0, 0.5)]
)
def test_share_of_the_difficulty_ramps_up(progress, eta):
    assert difficulty_share(CCL, progress) == pytest.approx(eta)


def test_share_of_the_difficulty_may_jump():
    config = CategoryConsistencyConfig(eta_start=0.0, eta_end=0.0)

    assert difficulty_share(config, 0.0) == 0.5


def test_targets_are_the_labels_at_first():
    targets = category_targets(ERRORS, LESION, torch.rand(1, 4), CCL, 0.0)

    assert torch.equal(targets, LESION.float())


def test_targets_are_the_scores_at_first_where_the_score_is_chosen():
    score = torch.rand(1, 4)

    config = CategoryConsistencyConfig(category="score")
    targets = category_targets(ERRORS, LESION, score, config, 0.0)

    assert torch.equal(targets, score)


def test_loss_is_linear_in_its_target():
    logits, errors, lesion = torch.randn(4, 20), torch.rand(4, 20), torch.rand(4, 20) < 0.4

    targets = category_targets(errors, lesion, lesion.float(), CCL, 1.0)
    loss = category_consistency_loss(logits, targets, CCL)

    q = difficulty_categories(errors, lesion, 0.5)
    expected = 0.5 * bce(logits, lesion.float()) + 0.5 * bce(logits, q)
    torch.testing.assert_close(loss, expected)


def test_loss_is_least_where_the_head_predicts_the_target():
    targets = torch.rand(4, 20) * 0.98 + 0.01
    logits = targets.logit().requires_grad_()

    category_consistency_loss(logits, targets, CCL).backward()

    assert logits.grad.abs().max() < 1e-7


def test_loss_of_huge_logits_is_finite():
    logits = torch.tensor([[1e4, -1e4]])

    loss = category_consistency_loss(logits, torch.tensor([[0.0, 1.0]]), CCL)

    assert loss.item() == pytest.approx(1e4)


def test_targets_carry_no_gradient_to_the_errors():
    errors = torch.rand(2, 10, requires_grad=True)

    targets = category_targets(errors, torch.rand(2, 10) < 0.5, torch.rand(2, 10), CCL, 1.0)

    assert not targets.requires_grad


def test_balance_gives_both_categories_the_same_weight_in_each_image():
    targets = torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 0]])
    config = CategoryConsistencyConfig(balance=True)

    loss = category_consistency_loss(torch.full((2, 4), 2.0), targets, config)

    # softplus(-2) = .126928 for lesions and softplus(2) = 2.126928 for background, half each
    assert loss.item() == pytest.approx((0.126928 + 2.126928) / 2, abs=1e-5)


def test_balance_is_limited_to_a_factor_of_4():
    targets = torch.zeros(1, 100)
    targets[0, 0] = 1
    config = CategoryConsistencyConfig(balance=True)

    loss = category_consistency_loss(torch.zeros(1, 100), targets, config)

    # weights 50 -> 4 and 100 / 198; ln 2 each
    assert loss.item() == pytest.approx(0.693147 * (4 + 99 * 100 / 198) / 100, abs=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_balance_of_a_single_category_is_finite(value):
    config = CategoryConsistencyConfig(balance=True)
    logits = torch.randn(2, 5, requires_grad=True)

    loss = category_consistency_loss(logits, torch.full((2, 5), value), config)
    loss.backward()

    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_loss_of_bf16_logits_is_float32():
    loss = category_consistency_loss(torch.randn(2, 5).bfloat16(), torch.rand(2, 5), CCL)

    assert loss.dtype == torch.float32
