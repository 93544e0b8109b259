import pytest
import torch

from amlp.config import (
    GeodesicSaliencyConfig,
    HardSelectionConfig,
    KMeansConfig,
    MaskedPatchSelectionConfig,
    SoftSelectionConfig,
)
from amlp.masking import (
    GeodesicSaliency,
    KMeans,
    MaskedPatchSelection,
    RandomMasking,
    build_clustering,
)
from amlp.masking.noise import by_falling_noise
from amlp.masking.patch_selection import select_lesions, select_softly


def noise_of(b, n, seed=0):
    return torch.rand(b, n, generator=torch.Generator().manual_seed(seed))


def random_mask(noise, num_masked):
    masked = torch.zeros_like(noise, dtype=torch.bool)
    return masked.scatter(1, by_falling_noise(noise)[:, :num_masked], True)


def lesions(num_lesion, n=196):
    return (torch.arange(n) < num_lesion)[None]


@pytest.mark.parametrize(
    ("num_lesion", "num_masked", "expected"),
    [(49, 49, 37), (49, 98, 44), (100, 147, 90), (150, 147, 110), (196, 147, 147)],
)
def test_masked_lesions_follow_the_hand_worked_table(num_lesion, num_masked, expected):
    masked = select_lesions(
        lesions(num_lesion), noise_of(1, 196), num_masked, HardSelectionConfig()
    )

    assert (masked & lesions(num_lesion)).sum() == expected


@pytest.mark.parametrize(
    ("gamma", "num_lesion", "expected"), [(0.9, 15, 13), (0.9, 19, 17), (0.29, 100, 29)]
)
def test_share_of_the_lesions_is_rounded_down_but_for_rounding_errors(gamma, num_lesion, expected):
    config = HardSelectionConfig(alpha=1.0, gamma=gamma)

    masked = select_lesions(lesions(num_lesion), noise_of(1, 196), 90, config)

    assert (masked & lesions(num_lesion)).sum() == expected


@pytest.mark.parametrize("alpha", [0.0, 0.75, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_hard_mask_has_its_size_for_every_number_of_lesions(alpha, gamma):
    n = 16
    lesion = torch.cat([lesions(num_lesion, n) for num_lesion in range(n + 1)])
    config = HardSelectionConfig(alpha=alpha, gamma=gamma)

    counts = [select_lesions(lesion, noise_of(n + 1, n), m, config).sum(dim=1) for m in range(1, n)]

    assert torch.equal(torch.stack(counts), torch.arange(1, n)[:, None].expand(n - 1, n + 1))


def test_lesions_masked_are_those_of_largest_noise():
    lesion = torch.tensor([[True, True, True, False, False, False]])
    noise = torch.tensor([[0.1, 0.9, 0.5, 0.8, 0.2, 0.3]])

    masked = select_lesions(lesion, noise, 3, HardSelectionConfig(alpha=0.67, gamma=1))

    assert masked.tolist() == [[False, True, True, True, False, False]]


@pytest.mark.parametrize("num_lesion", [0, 16])
def test_hard_mask_is_the_random_mask_when_all_patches_are_alike(num_lesion):
    noise = noise_of(8, 16)

    masked = select_lesions(lesions(num_lesion, 16).expand(8, 16), noise, 7, HardSelectionConfig())

    assert torch.equal(masked, random_mask(noise, 7))


def test_all_masked_patches_are_lesions_when_ratio_is_small():
    masked = select_lesions(
        lesions(40), noise_of(1, 196), 20, HardSelectionConfig(alpha=1, gamma=1)
    )

    assert (masked & lesions(40)).sum() == 20


@pytest.mark.parametrize("config", [SoftSelectionConfig(beta=0), SoftSelectionConfig(guided=0)])
def test_soft_mask_without_guidance_is_the_random_mask(config):
    noise = noise_of(32, 196)

    masked = select_softly(torch.rand(32, 196), noise, 100, config)

    assert torch.equal(masked, random_mask(noise, 100))


def test_soft_mask_without_guidance_is_the_random_mask_even_where_noise_is_equal():
    noise = (noise_of(16, 64) * 8).floor() / 8

    masked = select_softly(torch.rand(16, 64), noise, 20, SoftSelectionConfig(beta=0))

    assert torch.equal(masked, random_mask(noise, 20))


def test_soft_mask_of_equal_scores_is_the_random_mask():
    noise = noise_of(8, 64)

    masked = select_softly(torch.zeros(8, 64), noise, 20, SoftSelectionConfig())

    assert torch.equal(masked, random_mask(noise, 20))


@pytest.mark.parametrize("guided", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("num_masked", [1, 2, 9, 15])
def test_soft_mask_has_its_size(guided, num_masked):
    config = SoftSelectionConfig(guided=guided)

    masked = select_softly(torch.rand(8, 16), noise_of(8, 16), num_masked, config)

    assert masked.sum(dim=1).tolist() == [num_masked] * 8


def test_large_beta_masks_the_highest_scores():
    score = torch.arange(16.0)[None] / 15

    masked = select_softly(score, noise_of(1, 16), 4, SoftSelectionConfig(beta=20, guided=1))

    assert masked[0, -3:].all()


def test_guided_share_limits_how_many_patches_the_score_chooses():
    score = (torch.arange(400) < 100).float().expand(200, 400)

    masked = select_softly(score, noise_of(200, 400), 100, SoftSelectionConfig(beta=20, guided=0.5))

    # 50 by score, the other 50 at random from 350 of which 50 are lesions
    hits = (masked & (score > 0)).sum(dim=1).float().mean()
    assert hits == pytest.approx(50 + 50 * 50 / 350, abs=1)


def test_odds_of_a_single_guided_patch_are_exponential_in_its_score():
    score = torch.tensor([[0.0, 1.0]]).expand(20_000, 2)

    masked = select_softly(score, noise_of(20_000, 2), 1, SoftSelectionConfig(beta=0.5, guided=1))

    # z-scores -1 and 1: odds exp(0.5 * 2) = e to 1
    assert masked[:, 1].float().mean() == pytest.approx(2.71828 / 3.71828, abs=0.01)


def test_noise_of_exactly_zero_is_accepted():
    noise = torch.tensor([[0.0, 0.5, 0.0, 0.7]])

    masked = select_softly(torch.rand(1, 4), noise, 2, SoftSelectionConfig())

    assert masked.sum() == 2


@pytest.mark.parametrize(
    ("clustering", "kind"), [(GeodesicSaliencyConfig(), GeodesicSaliency), (KMeansConfig(), KMeans)]
)
def test_clustering_is_built_from_its_config(clustering, kind):
    assert isinstance(build_clustering(clustering, 4), kind)


def test_degenerate_images_are_masked_at_random():
    images = torch.zeros(4, 1, 16, 16)
    strategy = MaskedPatchSelection(MaskedPatchSelectionConfig(), 4)

    mask = strategy(images, 5, torch.Generator().manual_seed(3))

    assert mask.degenerate.all()
    random = RandomMasking(4)(images, 5, torch.Generator().manual_seed(3))
    assert torch.equal(mask.masked, random.masked)


def test_beta_0_keeps_the_random_mask_and_still_tells_categories():
    images = torch.randn(4, 1, 32, 32)
    config = MaskedPatchSelectionConfig(selection=SoftSelectionConfig(beta=0))

    mask = MaskedPatchSelection(config, 4)(images, 20, torch.Generator().manual_seed(3))

    random = RandomMasking(4)(images, 20, torch.Generator().manual_seed(3))
    assert torch.equal(mask.masked, random.masked)
    assert mask.lesion.any()


@pytest.mark.parametrize("selection", [SoftSelectionConfig(), HardSelectionConfig()])
def test_same_seed_gives_the_same_mask(selection):
    images = torch.randn(4, 1, 32, 32)
    strategy = MaskedPatchSelection(MaskedPatchSelectionConfig(selection=selection), 4)

    first, second = (strategy(images, 20, torch.Generator().manual_seed(3)) for _ in "ab")

    assert torch.equal(first.masked, second.masked)
    assert first.masked.sum(dim=1).tolist() == [20] * 4
