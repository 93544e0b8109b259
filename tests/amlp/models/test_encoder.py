import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from amlp.config import EncoderConfig
from amlp.errors import CheckpointError, GeometryMismatch
from amlp.models import build_encoder, load_encoder
from amlp.models.position import resize_position

CONFIG = EncoderConfig(embed_dim=32, depth=3, num_heads=4)


def small_encoder(**values):
    given = {"image_size": 16, "patch_size": 4, "channels": 3, **values}
    return build_encoder(CONFIG, **given).eval()


def small_timm():
    return VisionTransformer(
        img_size=16, patch_size=4, embed_dim=32, depth=3, num_heads=4, num_classes=0
    ).eval()


def test_encoder_equals_timm_with_the_same_weights():
    timm_model, encoder = small_timm(), small_encoder()
    images = torch.randn(2, 3, 16, 16)

    load_encoder(encoder, timm_model.state_dict())

    torch.testing.assert_close(
        encoder(images), timm_model.forward_features(images), rtol=1e-5, atol=1e-5
    )


def test_parameters_are_named_and_shaped_as_in_timm():
    own, timm_weights = small_encoder().state_dict(), small_timm().state_dict()

    assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in timm_weights.items()}


def test_visible_patches_come_in_the_given_order():
    encoder, images = small_encoder(), torch.randn(1, 3, 16, 16)
    order = torch.randperm(16)[None]

    tokens = encoder(images, order)

    everything = encoder(images)
    expected = torch.cat([everything[:, :1], everything[:, 1:][:, order[0]]], dim=1)
    torch.testing.assert_close(tokens, expected, rtol=1e-4, atol=1e-5)


def test_output_does_not_depend_on_masked_pixels():
    encoder, images = small_encoder(), torch.randn(1, 3, 16, 16)
    changed = images.clone()
    changed[:, :, :4] = 100  # patches 0 to 3

    visible = torch.arange(4, 16)[None]

    assert torch.equal(encoder(images, visible), encoder(changed, visible))


def test_token_maps_lie_on_the_patch_grid():
    encoder, images = small_encoder(), torch.randn(2, 3, 16, 16)

    first, last = encoder.forward_depths(images, [1, 3])

    assert first.shape == (2, 32, 4, 4)
    torch.testing.assert_close(last.flatten(2).mT, encoder(images)[:, 1:])


def test_same_depth_may_be_asked_for_twice():
    maps = small_encoder().forward_depths(torch.randn(1, 3, 16, 16), [3, 1, 3])

    assert torch.equal(maps[0], maps[2])


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (1, 1, 16, 16)])
def test_images_of_another_geometry_are_refused(shape):
    with pytest.raises(GeometryMismatch, match=r"not the encoder's \(3, 16, 16\)"):
        small_encoder()(torch.zeros(shape))


def test_positions_are_interpolated_to_another_image_size():
    source, target = small_encoder(), small_encoder(image_size=24)

    load_encoder(target, source.state_dict())

    assert torch.equal(target.pos_embed, resize_position(source.pos_embed, 6, 6))
    assert target(torch.randn(1, 3, 24, 24)).shape == (1, 37, 32)


def test_weights_of_a_decoder_are_ignored():
    source = small_encoder()

    load_encoder(small_encoder(), {**source.state_dict(), "mask_token": torch.zeros(1)})


def test_missing_weights_are_named():
    weights = small_encoder().state_dict()
    del weights["norm.bias"]

    with pytest.raises(CheckpointError, match=r"lack norm\.bias"):
        load_encoder(small_encoder(), weights)


def test_weights_of_another_shape_are_named():
    with pytest.raises(CheckpointError, match=r"proj\.weight has shape \(32, 1, 4, 4\)"):
        load_encoder(small_encoder(), small_encoder(channels=1).state_dict())


def test_weights_are_unchanged_when_loading_fails():
    encoder = small_encoder()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}

    with pytest.raises(CheckpointError):
        load_encoder(encoder, small_encoder(channels=1).state_dict())

    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_drop_path_rises_with_depth():
    blocks = small_encoder(drop_path=0.2).blocks

    rates = [getattr(block.drop_path, "drop_prob", 0.0) for block in blocks]

    assert rates == pytest.approx([0, 0.1, 0.2])


def test_positions_are_not_trained():
    assert "pos_embed" not in dict(small_encoder().named_parameters())
