import heapq
from itertools import product

import pytest
import torch

from amlp.config import GeodesicSaliencyConfig, HardSelectionConfig, SoftSelectionConfig
from amlp.masking import GeodesicSaliency
from amlp.masking.geodesic_saliency import (
    edge_lengths,
    geodesic_distance,
    outside_patches,
    two_means_threshold,
)
from amlp.masking.patch_selection import select_lesions, select_softly

SALIENCY = GeodesicSaliency(GeodesicSaliencyConfig(), 4)


def disc(centre=(32, 32), radius=10, size=64):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2).float()


def textured(image, seed=0, noise=0.02):
    return image + noise * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))


def dijkstra(edges, source):
    """Shortest paths with a queue; edges to the left, right, upper and lower neighbour."""
    rows, columns = source.shape
    distance = {cell: float("inf") for cell in product(range(rows), range(columns))}
    queue = [(0.0, tuple(cell)) for cell in source.nonzero().tolist()]
    while queue:
        length, (y, x) = heapq.heappop(queue)
        if length >= distance[y, x]:
            continue
        distance[y, x] = length
        for side, (dy, dx) in enumerate(((0, -1), (0, 1), (-1, 0), (1, 0))):
            if (y + dy, x + dx) in distance:
                heapq.heappush(queue, (length + float(edges[side][y, x]), (y + dy, x + dx)))
    return torch.tensor([[distance[y, x] for x in range(columns)] for y in range(rows)])


def test_distances_equal_those_of_dijkstra():
    edges = edge_lengths(torch.randn(3, 2, 7, 9), 0.1)
    source = torch.rand(3, 7, 9) < 0.1
    source[:, 0, 0] = True

    distance = geodesic_distance(edges, source)

    for image in range(3):
        torch.testing.assert_close(distance[image], dijkstra(edges[:, image], source[image]))


def test_edges_are_the_feature_distance_less_its_quantile():
    features = torch.tensor([[[[0.0, 3.0, 3.0], [4.0, 0.0, 5.0]]]])

    left, right, up, down = edge_lengths(features, 0.5)[:, 0]

    # differences 3, 0, 4, 5 across and 4, 3, 2 down: their median 3 is subtracted
    inf = torch.inf
    assert left.tolist() == [[inf, 0, 0], [inf, 1, 2]]
    assert right.tolist() == [[0, 0, inf], [1, 2, inf]]
    assert up.tolist() == [[inf] * 3, [1, 0, 0]]
    assert down.tolist() == [[1, 0, 0], [inf] * 3]


def test_quantile_of_edges_equals_that_of_torch():
    features = torch.randn(2, 3, 6, 5)
    across = torch.linalg.vector_norm(features.diff(dim=3), dim=1).flatten(1)
    down = torch.linalg.vector_norm(features.diff(dim=2), dim=1).flatten(1)
    quantile = torch.cat([across, down], dim=1).quantile(0.2, dim=1)

    edges = edge_lengths(features, 0.2)

    torch.testing.assert_close(
        edges[1, :, :, :-1].flatten(1), (across - quantile[:, None]).clamp_min(0)
    )


def test_threshold_equals_the_best_split_of_all():
    score = torch.rand(4, 30)

    threshold = two_means_threshold(score)

    for row, found in zip(score, threshold, strict=True):
        ordered = row.sort().values
        inertia = [
            sum(float(part.var(correction=0)) * len(part) for part in (ordered[:t], ordered[t:]))
            for t in range(1, 30)
        ]
        assert found == ordered[inertia.index(min(inertia))]


def test_bright_disc_in_a_flat_field_is_found():
    lesion = SALIENCY(textured(disc())[None, None]).lesion.view(16, 16)

    inner = torch.nn.functional.avg_pool2d(disc(radius=8)[None], 4)[0] == 1
    outer = torch.nn.functional.max_pool2d(disc(radius=16)[None], 4)[0] == 1
    assert lesion[inner].all()
    assert not lesion[~outer].any()


def test_disc_that_touches_the_frame_is_missed():
    lesion = SALIENCY(textured(disc(centre=(32, 3)))[None, None]).lesion.view(16, 16)

    assert lesion[6:10, 0].float().mean() < 0.5


@pytest.mark.parametrize("axis", [2, 3])
def test_flipped_image_has_flipped_categories(axis):
    images = textured(torch.stack([disc((20, 40)), disc((36, 28), 14)])[:, None])

    lesion = SALIENCY(images).lesion.view(2, 16, 16)
    flipped = SALIENCY(images.flip(axis)).lesion.view(2, 16, 16).flip(axis - 1)

    assert (lesion == flipped).float().mean() >= 0.98


@pytest.mark.parametrize(("scale", "shift"), [(0.01, 3.0), (255.0, -40.0)])
def test_categories_do_not_depend_on_the_scale_of_grey_levels(scale, shift):
    images = textured(disc((24, 36))[None, None].repeat(4, 1, 1, 1), noise=0.1)

    lesion = SALIENCY(scale * images + shift).lesion

    assert (lesion == SALIENCY(images).lesion).float().mean() >= 0.99


@pytest.mark.parametrize("level", [0.0, 0.1, -3.7])
def test_constant_image_is_degenerate(level):
    categories = SALIENCY(torch.full((1, 3, 64, 64), level))

    assert categories.degenerate.all()
    assert not categories.lesion.any()
    assert not categories.score.any()


def test_noise_gives_finite_scores_between_0_and_1():
    score = SALIENCY(torch.randn(8, 1, 64, 64)).score

    assert score.isfinite().all()
    assert (score.amin(), score.amax()) == (0, 1)


def test_every_row_of_scores_depends_on_its_own_image_only():
    images = torch.randn(3, 2, 32, 32)

    scores = SALIENCY(images).score

    torch.testing.assert_close(scores[1:2], SALIENCY(images[1:2]).score)


def test_categories_are_the_same_under_bf16_autocast():
    images = textured(disc()[None, None])

    with torch.autocast("cpu", torch.bfloat16):
        categories = SALIENCY(images)

    assert categories.score.dtype == torch.float32
    assert torch.equal(categories.score, SALIENCY(images).score)


def test_dark_corners_are_outside():
    dark = torch.zeros(1, 8, 8, dtype=torch.bool)
    dark[0, :2, :2] = True
    dark[0, 2, 2] = True

    assert torch.equal(outside_patches(dark), dark)


def test_enclosed_dark_patches_stay_inside():
    dark = torch.zeros(1, 8, 8, dtype=torch.bool)
    dark[0, 3:5, 3:5] = True

    assert not outside_patches(dark).any()


def test_darkness_that_leaves_too_little_is_no_frame():
    dark = torch.ones(1, 8, 8, dtype=torch.bool)
    dark[0, 3:5, 3:5] = False

    assert not outside_patches(dark).any()


def test_outside_patches_never_are_lesions():
    image = textured(0.3 + 0.7 * disc(radius=8), noise=0.01) * disc(radius=30)

    categories = SALIENCY(image[None, None])

    corners = torch.zeros(16, 16, dtype=torch.bool)
    corners[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    assert not categories.lesion[0][corners.flatten()].any()
    assert not categories.score[0][corners.flatten()].any()
    assert categories.lesion[0].view(16, 16)[8, 8]


def test_bright_field_in_a_dark_frame_is_not_salient_itself():
    image = torch.zeros(64, 64)
    image[8:56, 8:56] = textured(0.4 + 0.4 * disc(radius=8), noise=0.01)[8:56, 8:56]

    score = SALIENCY(image[None, None]).score.view(16, 16)

    assert score[8, 8] > 0.9
    assert score[3:13, 3].max() < 0.2


def test_dark_disc_on_white_needs_the_other_polarity():
    image = textured(1 - 0.5 * disc(radius=8), noise=0.01)
    image[:6], image[-6:], image[:, :6], image[:, -6:] = 1, 1, 1, 1

    lesion = GeodesicSaliency(GeodesicSaliencyConfig(polarity=-1), 4)(image[None, None]).lesion

    assert lesion[0].view(16, 16)[8, 8]
    assert not lesion[0].view(16, 16)[0].any()


def lift(masked, lesion, ratio):
    with_lesion = lesion.any(dim=1)
    hit = (masked & lesion).sum(dim=1)[with_lesion] / lesion.sum(dim=1)[with_lesion]
    return float(hit.mean()) / ratio


@pytest.mark.parametrize(("name", "mode"), [("busi", "L"), ("kvasir_seg", "RGB")])
def test_lesions_of_real_images_are_masked_more_often_than_at_random(real_images, name, mode):
    images, lesion = real_images(name, mode, count=60)
    noise = torch.rand(60, 196, generator=torch.Generator().manual_seed(0))

    categories = GeodesicSaliency(GeodesicSaliencyConfig(), 16)(images)

    by_label = HardSelectionConfig(alpha=1, gamma=1)
    by_score = SoftSelectionConfig(beta=20, guided=1)
    assert lift(select_lesions(categories.lesion, noise, 49, by_label), lesion, 0.25) > 1.3
    assert lift(select_softly(categories.score, noise, 49, by_score), lesion, 0.25) > 1.3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_is_never_waited_for():
    images = torch.randn(4, 1, 64, 64, device="cuda")
    SALIENCY(images)

    torch.cuda.set_sync_debug_mode("error")
    try:
        categories = SALIENCY(images)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert categories.score.is_cuda
