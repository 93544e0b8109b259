import pytest
import torch

from amlp.config import EncoderConfig, LinearHeadConfig, UnetrHeadConfig
from amlp.errors import ConfigError
from amlp.models import LinearHead, UnetrHead, build_encoder, build_head

UNETR = UnetrHeadConfig(channels=8)


def encoder_of(patch_size=8, depth=4, image_size=64, channels=1):
    config = EncoderConfig(embed_dim=16, depth=depth, num_heads=2)
    return build_encoder(
        config, image_size=image_size, patch_size=patch_size, channels=channels
    ).eval()


def logits_of(head, encoder, images):
    return head(images, encoder.forward_depths(images, head.depths))


@pytest.mark.parametrize("patch_size", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("config", [UNETR, LinearHeadConfig()])
def test_logits_have_the_resolution_of_the_image(patch_size, config):
    encoder = encoder_of(patch_size, image_size=2 * 32 if patch_size == 32 else 32)
    head = build_head(config, encoder, 3)
    side = encoder.grid.rows * patch_size

    logits = logits_of(head, encoder, torch.randn(2, 1, side, side))

    assert logits.shape == (2, 3, side, side)


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(12, (3, 6, 9, 12)), (4, (1, 2, 3, 4)), (6, (2, 3, 5, 6)), (1, (1,) * 4)],
)
def test_pyramid_takes_four_evenly_spaced_depths(depth, expected):
    assert UnetrHead(UNETR, encoder_of(depth=depth), 1).depths == expected


def test_probe_takes_the_last_depth():
    assert LinearHead(encoder_of(depth=5), 1).depths == (5,)


@pytest.mark.parametrize("patch_size", [2, 4, 8, 16])
@pytest.mark.parametrize("which", range(4))
def test_pyramid_uses_every_token_map(patch_size, which):
    encoder = encoder_of(patch_size, image_size=32)
    head, images = UnetrHead(UNETR, encoder, 1), torch.randn(1, 1, 32, 32)
    maps = encoder.forward_depths(images, head.depths)
    changed = [m + (i == which) * torch.randn_like(m) for i, m in enumerate(maps)]

    assert not torch.allclose(head(images, maps), head(images, changed))


def test_pyramid_sees_details_within_a_patch():
    encoder = encoder_of()
    head, images = UnetrHead(UNETR, encoder, 1), torch.randn(1, 1, 64, 64)
    maps = encoder.forward_depths(images, head.depths)

    difference = head(images, maps) - head(images.flip(3), maps)

    assert difference.abs().max() > 1e-3


def test_every_parameter_of_the_pyramid_has_a_gradient():
    encoder = encoder_of()
    head = UnetrHead(UNETR, encoder, 1)

    logits_of(head, encoder, torch.randn(2, 1, 64, 64)).square().mean().backward()

    assert all(parameter.grad.abs().max() > 0 for parameter in head.parameters())


def test_result_does_not_depend_on_the_other_images_of_the_batch():
    encoder = encoder_of()
    head, images = UnetrHead(UNETR, encoder, 1), torch.randn(3, 1, 64, 64)

    together = logits_of(head, encoder, images)

    torch.testing.assert_close(
        together[1:2], logits_of(head, encoder, images[1:2]), rtol=1e-4, atol=1e-4
    )


def test_patch_size_that_is_no_power_of_two_is_refused_by_the_pyramid():
    with pytest.raises(ConfigError, match="patch_size 12 is no power of two"):
        build_head(UNETR, encoder_of(12, image_size=48), 1)


def test_probe_is_a_linear_map_of_each_token():
    encoder = encoder_of()
    head, maps = LinearHead(encoder, 2), [torch.randn(1, 16, 8, 8)]

    logits = head(torch.zeros(1, 1, 8, 8), maps)

    expected = torch.einsum("kd,bdhw->bkhw", head.logits.weight[:, :, 0, 0], maps[0])
    torch.testing.assert_close(logits, expected + head.logits.bias[None, :, None, None])
