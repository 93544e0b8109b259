from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans as SklearnKMeans

from amlp.config import KMeansConfig
from amlp.masking import KMeans
from amlp.masking.k_means import farthest_points, k_means, memberships

ALL = torch.ones(1, 196, dtype=torch.bool)


def blobs(sizes, distance, dim=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    means = distance * torch.eye(dim)[: len(sizes)]
    centres = means.repeat_interleave(torch.tensor(sizes), dim=0)
    points = centres + torch.randn(centres.shape, generator=generator)
    return points[torch.randperm(len(points), generator=generator)][None]


def inertia(features, labels, centres):
    return float((features[0] - centres[0][labels[0]]).square().sum())


def sklearn_from(features, centres):
    fit = SklearnKMeans(len(centres[0]), init=centres[0].numpy(), n_init=1, max_iter=100, tol=0)
    return fit.fit(features[0].numpy())


@pytest.mark.parametrize("sizes", [(20, 176), (60, 60, 76)])
def test_labels_equal_those_of_scikit_learn_on_separated_blobs(sizes):
    features = blobs(sizes, distance=12)

    clusters = k_means(features, ALL, len(sizes), 50)

    oracle = sklearn_from(features, farthest_points(features, ALL, len(sizes)))
    assert np.array_equal(clusters.labels[0].numpy(), oracle.labels_)


@pytest.mark.parametrize("seed", range(4))
def test_inertia_is_that_of_scikit_learn_on_blurred_blobs(seed):
    features = blobs((50, 60, 86), distance=3, seed=seed)

    clusters = k_means(features, ALL, 3, 100)

    oracle = sklearn_from(features, farthest_points(features, ALL, 3))
    assert inertia(features, *clusters) <= 1.02 * oracle.inertia_


def test_inertia_never_rises_with_more_iterations():
    features = blobs((50, 60, 86), distance=1)

    values = [inertia(features, *k_means(features, ALL, 3, i)) for i in range(1, 15)]

    assert all(later <= earlier + 1e-3 for earlier, later in pairwise(values))


def test_start_takes_the_patch_nearest_to_the_mean_and_then_the_farthest():
    features = torch.tensor([[[0.0], [1.0], [2.0], [9.0], [-6.0]]])
    valid = torch.ones(1, 5, dtype=torch.bool)

    centres = farthest_points(features, valid, 3)

    assert centres.flatten().tolist() == [1, 9, -6]


def test_patches_that_are_not_valid_do_not_move_the_centres():
    features = blobs((98, 98), distance=10)
    valid = torch.rand(1, 196, generator=torch.Generator().manual_seed(0)) > 0.3
    wild = torch.where(valid.unsqueeze(2), features, 1000.0)

    centres = k_means(wild, valid, 2, 20).centres

    torch.testing.assert_close(centres, k_means(features, valid, 2, 20).centres)


def test_empty_cluster_keeps_its_centre():
    features = torch.zeros(1, 6, 2)
    features[:, 3:] = 1

    clusters = k_means(features, torch.ones(1, 6, dtype=torch.bool), 3, 5)

    assert clusters.labels.tolist() == [[0, 0, 0, 1, 1, 1]]
    assert clusters.centres[0].tolist() == [[0, 0], [1, 1], [0, 0]]


def test_memberships_leave_out_patches_that_are_not_valid():
    member = memberships(torch.tensor([[1, 0, 1]]), torch.tensor([[True, True, False]]), 2)

    assert member.tolist() == [[[0, 1], [1, 0], [0, 0]]]


def grid_image(pattern, patch_size=4):
    """One patch of each level, without texture."""
    levels = torch.tensor(pattern, dtype=torch.float32)
    return levels.repeat_interleave(patch_size, 0).repeat_interleave(patch_size, 1)[None, None]


def categories_of(pattern, **config):
    config = KMeansConfig(features="pixel", foreground=False, **config)
    return KMeans(config, 4)(grid_image(pattern))


@pytest.mark.parametrize("seed", range(3))
def test_small_cluster_is_the_lesion_wherever_its_patches_lie(seed):
    pattern = torch.zeros(196)
    chosen = torch.randperm(196, generator=torch.Generator().manual_seed(seed))[:20]
    pattern[chosen] = 1

    lesion = categories_of(pattern.view(14, 14).tolist(), lesion_rule="smallest").lesion

    assert torch.equal(lesion[0], pattern.bool())


RING = [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
CORNERS = [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
HALF_DARK = [[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]


@pytest.mark.parametrize(
    ("rule", "pattern", "lesion_level"),
    [
        ("smallest", RING, 0),
        ("size_border", RING, 0),
        ("least_border", RING, 0),
        ("brightest", RING, 1),
        ("darkest", RING, 0),
        ("smallest", HALF_DARK, 1),
        ("size_border", CORNERS, 1),
        ("least_border", CORNERS, 0),
        ("least_border", HALF_DARK, 0),
    ],
)
def test_rule_picks_its_cluster(rule, pattern, lesion_level):
    lesion = categories_of(pattern, lesion_rule=rule).lesion

    assert lesion[0].tolist() == (torch.tensor(pattern).flatten() == lesion_level).tolist()


def test_size_and_border_are_weighed_against_each_other():
    # 10 of 16 patches with 6 on the border: 10/16 + 6/10; the rest: 6/16 + 6/6, which is more
    pattern = [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]]
    pattern[1][3] = pattern[2][3] = 1

    lesion = categories_of(pattern, lesion_rule="size_border").lesion

    assert lesion[0].tolist() == (torch.tensor(pattern).flatten() == 0).tolist()


def test_empty_cluster_is_never_the_lesion():
    lesion = categories_of(CORNERS, num_clusters=3, lesion_rule="smallest").lesion

    assert lesion[0].tolist() == (torch.tensor(CORNERS).flatten() == 1).tolist()


def test_wider_cluster_wins_a_tie():
    # two clusters of 8, levels 0 without spread and 10 +- 1
    pattern = [[0, 0, 0, 0], [0, 0, 0, 0], [9, 11, 9, 11], [9, 11, 9, 11]]

    lesion = categories_of(pattern, lesion_rule="smallest").lesion

    assert lesion[0].tolist() == [False] * 8 + [True] * 8


def test_cluster_nearest_to_the_mean_wins_a_full_tie():
    pattern = [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]

    lesion = categories_of(pattern, lesion_rule="smallest").lesion

    assert lesion.sum() == 8


@pytest.mark.parametrize("features", ["pixel", "stats_context"])
@pytest.mark.parametrize("level", [0.0, 0.1, -3.7])
def test_constant_image_is_degenerate(features, level):
    config = KMeansConfig(features=features, foreground=False)

    categories = KMeans(config, 4)(torch.full((2, 3, 16, 16), level))

    assert categories.degenerate.all()
    assert not categories.lesion.any()
    assert categories.score.isfinite().all()


def test_image_with_under_four_valid_patches_is_degenerate():
    pattern = [[0, 0, 0, 0], [0, 1, 0.8, 0], [0, 0, 0.9, 0], [0, 0, 0, 0]]

    categories = KMeans(KMeansConfig(), 4)(grid_image(pattern))

    assert categories.degenerate.all()
    assert not categories.lesion.any()


def test_background_patches_are_never_lesions():
    pattern = [[0, 0, 0, 0], [0, 0.5, 0.6, 0.5], [0, 0.5, 1, 0.6], [0, 0.5, 0.6, 0.5]]

    lesion = KMeans(KMeansConfig(), 4)(grid_image(pattern)).lesion.view(4, 4)

    assert not lesion[0].any()
    assert not lesion[:, 0].any()
    assert lesion.any()


@pytest.mark.parametrize("features", ["pixel", "stats_context"])
def test_categories_do_not_depend_on_the_scale_of_grey_levels(features):
    images = torch.randn(4, 1, 56, 56)
    images[:, :, 16:32, 20:36] += 2
    cluster = KMeans(KMeansConfig(features=features), 4)

    lesion = cluster(40 * images + 7).lesion

    assert (lesion == cluster(images).lesion).float().mean() >= 0.99


def test_permuted_patches_have_permuted_categories():
    images = torch.randn(1, 1, 16, 16)
    columns = images.view(1, 1, 16, 4, 4)[..., [2, 0, 3, 1], :].reshape(1, 1, 16, 16)
    cluster = KMeans(KMeansConfig(features="pixel", foreground=False, lesion_rule="smallest"), 4)

    lesion = cluster(columns).lesion.view(4, 4)

    assert torch.equal(lesion, cluster(images).lesion.view(4, 4)[:, [2, 0, 3, 1]])


def test_context_tells_equal_patches_apart():
    # the same bright patch in dark and in bright surroundings
    pattern = torch.full((14, 14), 0.2)
    pattern[:, 7:] = 0.8
    pattern[6, 3] = 0.8

    lesion = KMeans(KMeansConfig(foreground=False, lesion_rule="smallest"), 4)(
        grid_image(pattern.tolist())
    ).lesion.view(14, 14)

    assert lesion[6, 3] != lesion[6, 10]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_is_never_waited_for():
    images, cluster = torch.randn(4, 1, 64, 64, device="cuda"), KMeans(KMeansConfig(), 4)
    cluster(images)

    torch.cuda.set_sync_debug_mode("error")
    try:
        categories = cluster(images)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert categories.lesion.is_cuda
