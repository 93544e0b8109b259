import numpy as np
import torch

from amlp.losses import denormalize_patches, normalize_patches, patch_errors


def test_error_is_the_mean_square_over_the_patch():
    reconstruction, targets = torch.randn(2, 3, 8), torch.randn(2, 3, 8)

    errors = patch_errors(reconstruction, targets)

    expected = ((reconstruction.numpy() - targets.numpy()) ** 2).mean(axis=2)
    np.testing.assert_allclose(errors, expected, rtol=1e-6)


def test_perfect_reconstruction_has_no_error():
    patches = torch.randn(2, 3, 8)

    assert not patch_errors(patches, patches).any()


def test_error_of_bf16_is_computed_in_float32():
    reconstruction = torch.full((1, 1, 1000), 1.0).bfloat16()

    errors = patch_errors(reconstruction, torch.zeros(1, 1, 1000))

    assert errors.dtype == torch.float32
    assert errors.item() == 1


def test_normalised_patches_have_mean_0_and_unbiased_variance_1():
    patches = normalize_patches(3 + 5 * torch.randn(2, 4, 64))

    assert patches.mean(dim=2).abs().max() < 1e-5
    torch.testing.assert_close(patches.var(dim=2), torch.ones(2, 4))


def test_flat_patch_is_normalised_to_zero():
    assert not normalize_patches(torch.full((1, 1, 16), 3.0)).any()


def test_denormalising_undoes_normalising():
    patches = 3 + 5 * torch.randn(2, 4, 64)

    restored = denormalize_patches(normalize_patches(patches), like=patches)

    torch.testing.assert_close(restored, patches)


def test_unpredictable_noise_is_the_hardest_patch_only_when_targets_are_normalised():
    lesion, noise = 2 * torch.linspace(-1, 1, 64), 0.1 * torch.randn(64)
    targets = torch.stack([lesion, noise])[None]
    half_right = torch.tensor([[[0.5], [0.0]]])  # half of the lesion's contrast, nothing of noise

    plain = patch_errors(half_right * targets, targets)
    normalized = patch_errors(half_right * normalize_patches(targets), normalize_patches(targets))

    assert plain.argmax() == 0
    assert normalized.argmax() == 1
