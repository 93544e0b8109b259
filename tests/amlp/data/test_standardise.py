"""Z-score over the foreground."""

import torch

from amlp.data import standardise


def _slow(channel: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
    inside = channel[foreground].double()
    return ((channel.double() - inside.mean()) / inside.std(correction=0)).float()


def test_it_is_the_z_score_of_each_image_and_channel() -> None:
    images = torch.rand(3, 2, 8, 8) + torch.tensor([0.0, 5.0]).reshape(2, 1, 1)
    low, high = images.amin((-2, -1), keepdim=True), images.amax((-2, -1), keepdim=True)
    foreground = ((images - low) > 0.02 * (high - low)).any(1)

    found = standardise(images)

    for b in range(3):
        for c in range(2):
            expected = _slow(images[b, c], foreground[b])
            assert torch.allclose(found[b, c], expected, atol=1e-4)


def test_a_black_border_does_not_set_the_scale() -> None:
    inside = torch.rand(1, 1, 8, 8) + 1
    framed = torch.nn.functional.pad(inside, (8, 8, 8, 8))

    found = standardise(framed)[..., 8:16, 8:16]

    assert abs(float(found.mean())) < 1e-4
    assert abs(float(found.std(correction=0)) - 1) < 1e-4


def test_gain_and_offset_do_not_matter() -> None:
    images = torch.rand(2, 1, 8, 8)

    assert torch.allclose(standardise(images), standardise(1000 * images + 5000), atol=1e-2)


def test_a_constant_image_becomes_zero() -> None:
    assert torch.equal(standardise(torch.full((1, 2, 4, 4), 7.0)), torch.zeros(1, 2, 4, 4))


def test_tiny_and_huge_values_stay_finite() -> None:
    images = torch.stack([torch.rand(1, 8, 8) * 1e-12, torch.rand(1, 8, 8) * 1e12])

    assert standardise(images).isfinite().all()
