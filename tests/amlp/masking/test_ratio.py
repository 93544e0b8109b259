import pytest

from amlp.config import AdaptiveRatioConfig, ConstantRatioConfig
from amlp.masking import masking_ratio, num_masked


@pytest.mark.parametrize(
    ("shape", "counts"),
    [
        ("linear", {0: 49, 1: 50, 24: 73, 25: 74, 49: 98, 50: 98, 74: 122, 99: 147}),
        ("cosine", {0: 49, 25: 64, 49: 97, 50: 99, 99: 147}),
    ],
)
def test_number_of_masked_patches_follows_the_hand_worked_table(shape, counts):
    config = AdaptiveRatioConfig(start=0.25, end=0.75, shape=shape)

    found = {epoch: num_masked(masking_ratio(config, epoch, 100), 196) for epoch in counts}

    assert found == counts


@pytest.mark.parametrize("shape", ["linear", "cosine", "sqrt", "quadratic"])
@pytest.mark.parametrize("ramp_fraction", [0.3, 1.0])
def test_ratio_never_falls_and_reaches_both_ends(shape, ramp_fraction):
    config = AdaptiveRatioConfig(start=0.2, end=0.6, shape=shape, ramp_fraction=ramp_fraction)

    ratios = [masking_ratio(config, epoch, 50) for epoch in range(50)]

    assert ratios == sorted(ratios)
    assert (ratios[0], ratios[-1]) == (0.2, pytest.approx(0.6))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [("linear", 0.4), ("cosine", 0.4), ("sqrt", 0.4828427), ("quadratic", 0.3)],
)
def test_shape_gives_the_ratio_half_way(shape, expected):
    config = AdaptiveRatioConfig(start=0.2, end=0.6, shape=shape)

    assert masking_ratio(config, 5, 11) == pytest.approx(expected)


def test_ramp_ends_after_its_share_of_the_epochs():
    config = AdaptiveRatioConfig(start=0.2, end=0.6, ramp_fraction=0.5)

    ratios = [masking_ratio(config, epoch, 20) for epoch in (8, 9, 10, 19)]

    assert ratios[0] < 0.6
    assert ratios[1:] == pytest.approx([0.6] * 3)


def test_single_epoch_stays_at_the_start():
    assert masking_ratio(AdaptiveRatioConfig(start=0.25, end=0.75), 0, 1) == 0.25


def test_constant_ratio_ignores_the_epoch():
    config = ConstantRatioConfig(ratio=0.75)

    assert {masking_ratio(config, epoch, 10) for epoch in range(10)} == {0.75}


def test_mae_rule_keeps_as_many_patches_as_mae():
    counts = [num_masked(step / 100, 196, "mae") for step in range(1, 100)]

    assert counts == [196 - int(196 * (1 - step / 100)) for step in range(1, 100)]


def test_rules_differ_where_mae_rounds_down_the_kept_patches():
    assert (num_masked(0.13, 196, "round"), num_masked(0.13, 196, "mae")) == (25, 26)


def test_half_a_patch_is_rounded_up():
    assert num_masked(0.5, 5) == 3


@pytest.mark.parametrize("rule", ["round", "mae"])
def test_at_least_one_patch_is_masked_and_one_visible(rule):
    assert (num_masked(0.001, 4, rule), num_masked(0.999, 4, rule)) == (1, 3)
