import torch

from amlp.masking import RandomMasking, num_masked


def mae_mask(noise, ratio):
    """MAE's masking as its paper describes it: shuffle by noise, keep the first patches."""
    masks = []
    for row in noise:
        shuffled = sorted(range(len(row)), key=lambda i: float(row[i]))
        kept = set(shuffled[: int(len(row) * (1 - ratio))])
        masks.append([i not in kept for i in range(len(row))])
    return torch.tensor(masks)


def test_mask_equals_that_of_mae_for_the_same_noise():
    images = torch.zeros(4, 1, 56, 56)
    noise = torch.rand(4, 196, generator=torch.Generator().manual_seed(3))

    mask = RandomMasking(4)(images, num_masked(0.75, 196, "mae"), torch.Generator().manual_seed(3))

    assert torch.equal(mask.masked, mae_mask(noise, 0.75))


def test_every_row_has_the_given_number_of_masked_patches():
    masking, generator = RandomMasking(4), torch.Generator().manual_seed(0)

    counts = [masking(torch.zeros(5, 1, 16, 16), m, generator).masked.sum(1) for m in range(1, 16)]

    assert torch.equal(torch.stack(counts), torch.arange(1, 16)[:, None].expand(15, 5))


def test_every_patch_is_masked_equally_often():
    mask = RandomMasking(4)(torch.zeros(4000, 1, 8, 8), 1, torch.Generator().manual_seed(0))

    share = mask.masked.float().mean(dim=0)

    assert (share - 0.25).abs().max() < 0.03


def test_random_masking_knows_no_categories():
    mask = RandomMasking(4)(torch.randn(2, 1, 8, 8), 2, torch.Generator())

    assert not mask.lesion.any()
    assert not mask.score.any()
    assert not mask.degenerate.any()
