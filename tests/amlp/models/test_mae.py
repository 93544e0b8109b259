import math

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.nn.functional import gelu, layer_norm, linear

from amlp.config import DecoderConfig, EncoderConfig, PretrainConfig
from amlp.losses import (
    attention_reconstruction_loss,
    category_consistency_loss,
    category_targets,
    patch_errors,
)
from amlp.masking import build_masking, masking_ratio, num_masked
from amlp.models import MaskedAutoencoder, build_encoder, build_mae, paste_patches
from amlp.models.mae import split_indices
from amlp.models.position import sincos_position

SIZES = {
    "image_size": 16,
    "patch_size": 4,
    "encoder": {"embed_dim": 32, "depth": 2, "num_heads": 4},
    "decoder": {"embed_dim": 16, "depth": 2, "num_heads": 2},
}


def small_mae(channels=3, **values):
    return build_mae(PretrainConfig(**{**SIZES, **values}), channels).eval()


def some_mask(b=2, n=16, num_masked=12):
    noise = torch.rand(b, n, generator=torch.Generator().manual_seed(0))
    return noise.argsort(dim=1).argsort(dim=1) < num_masked


def slow_block(weights, prefix, tokens, num_heads):
    """A transformer block for the tokens (t, d) of one image, head by head."""

    def get(name):
        return weights[f"{prefix}.{name}"]

    d = tokens.shape[1]
    x = layer_norm(tokens, (d,), get("norm1.weight"), get("norm1.bias"), 1e-6)
    query, key, value = linear(x, get("attn.qkv.weight"), get("attn.qkv.bias")).chunk(3, dim=1)
    heads = []
    for h in range(num_heads):
        part = slice(h * d // num_heads, (h + 1) * d // num_heads)
        scores = query[:, part] @ key[:, part].T / math.sqrt(d // num_heads)
        heads.append(scores.softmax(dim=1) @ value[:, part])
    mixed = torch.cat(heads, dim=1)
    tokens = tokens + linear(mixed, get("attn.proj.weight"), get("attn.proj.bias"))
    x = layer_norm(tokens, (d,), get("norm2.weight"), get("norm2.bias"), 1e-6)
    hidden = gelu(linear(x, get("mlp.fc1.weight"), get("mlp.fc1.bias")))
    return tokens + linear(hidden, get("mlp.fc2.weight"), get("mlp.fc2.bias"))


def slow_mae_loss(weights, image, noise, ratio):
    """The masked autoencoder of one image (c, 16, 16) as its paper describes it, patch by patch."""
    patches = torch.stack(
        [
            image[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].permute(1, 2, 0).flatten()
            for row in range(4)
            for column in range(4)
        ]
    )
    shuffled = noise.argsort()
    num_kept = int(16 * (1 - ratio))
    kernel = weights["encoder.patch_embed.proj.weight"].permute(0, 2, 3, 1).flatten(1)
    tokens = linear(patches, kernel, weights["encoder.patch_embed.proj.bias"])
    tokens = (tokens + sincos_position(4, 4, 32))[shuffled[:num_kept]]
    tokens = torch.cat([weights["encoder.cls_token"][0], tokens])
    for depth in range(2):
        tokens = slow_block(weights, f"encoder.blocks.{depth}", tokens, num_heads=4)
    norm = weights["encoder.norm.weight"], weights["encoder.norm.bias"]
    tokens = layer_norm(tokens, (32,), *norm, 1e-6)

    tokens = linear(tokens, weights["decoder.embed.weight"], weights["decoder.embed.bias"])
    masked = weights["decoder.mask_token"][0].expand(16 - num_kept, -1)
    in_place = torch.cat([tokens[1:], masked])[shuffled.argsort()] + sincos_position(4, 4, 16)
    tokens = torch.cat([tokens[:1], in_place])
    for depth in range(2):
        tokens = slow_block(weights, f"decoder.blocks.{depth}", tokens, num_heads=2)
    norm = weights["decoder.norm.weight"], weights["decoder.norm.bias"]
    tokens = layer_norm(tokens, (16,), *norm, 1e-6)
    predicted = linear(tokens, weights["pixel_head.weight"], weights["pixel_head.bias"])[1:]
    errors = (predicted - patches).square().mean(dim=1)
    return errors[shuffled[num_kept:]].mean()


def test_preset_mae_has_the_loss_of_mae():
    config = PretrainConfig(preset="mae", mask_count="mae", **SIZES)
    model, images = build_mae(config, 3), torch.randn(3, 3, 16, 16)
    noise = torch.rand(3, 16, generator=torch.Generator().manual_seed(5))
    m = num_masked(masking_ratio(config.ratio, 7, 10), 16, config.mask_count)

    mask = build_masking(config.masking, 4)(images, m, torch.Generator().manual_seed(5))
    output = model(images, mask.masked, m)
    errors = patch_errors(output.reconstruction, output.targets)
    loss = attention_reconstruction_loss(errors, config.attention_reconstruction, 0.7)

    weights = model.state_dict()
    expected = [
        slow_mae_loss(weights, image, row, 0.75) for image, row in zip(images, noise, strict=True)
    ]
    assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-6)


def test_targets_are_the_masked_patches_in_the_order_of_their_numbers():
    model, images, masked = small_mae(), torch.randn(2, 3, 16, 16), some_mask()

    output = model(images, masked, 12)

    for b in range(2):
        assert output.indices[b].tolist() == masked[b].nonzero().flatten().tolist()
        for target, index in zip(output.targets[b], output.indices[b].tolist(), strict=True):
            y, x = 4 * (index // 4), 4 * (index % 4)
            pixels = images[b, :, y : y + 4, x : x + 4]
            assert torch.equal(target, pixels.permute(1, 2, 0).flatten())


def test_reconstruction_does_not_depend_on_masked_pixels():
    model, images = small_mae(), torch.randn(1, 3, 16, 16)
    masked = torch.arange(16)[None] < 12
    changed = images.clone()
    changed[:, :, :12] = 50

    outputs = [model(x, masked, 12) for x in (images, changed)]

    assert torch.equal(outputs[0].reconstruction, outputs[1].reconstruction)
    assert torch.equal(outputs[0].category_logits, outputs[1].category_logits)


def test_errors_do_not_depend_on_the_targets_of_visible_patches():
    model, masked = small_mae(), torch.arange(16)[None] < 12

    output = model(torch.randn(1, 3, 16, 16), masked, 12)

    assert output.targets.shape == output.reconstruction.shape == (1, 12, 48)


def test_visible_and_masked_indices_part_the_patches():
    masked = some_mask(4, 16, 5)

    visible, hidden = split_indices(masked, 5)

    assert torch.equal(masked.gather(1, hidden), torch.ones(4, 5, dtype=torch.bool))
    assert not masked.gather(1, visible).any()
    assert torch.equal(
        torch.cat([visible, hidden], 1).sort(1).values, torch.arange(16).expand(4, 16)
    )


def gradients(loss, model):
    model.zero_grad()
    loss.backward()
    return {
        name: float(parameter.grad.abs().max())
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def consistency_loss(model):
    config = PretrainConfig().category_consistency
    output = model(torch.randn(2, 3, 16, 16), some_mask(), 12)
    errors = patch_errors(output.reconstruction, output.targets)
    lesion = torch.rand(2, 12) < 0.4
    targets = category_targets(errors, lesion, lesion.float(), config, 1.0)
    return category_consistency_loss(output.category_logits, targets, config)


def test_category_consistency_does_not_reach_the_pixel_head():
    model = small_mae()

    found = gradients(consistency_loss(model), model)

    assert not any(name.startswith("pixel_head") for name in found)


@pytest.mark.parametrize(
    "part", ["category_head", "decoder.blocks", "decoder.mask_token", "encoder"]
)
def test_category_consistency_reaches(part):
    model = small_mae()

    found = gradients(consistency_loss(model), model)

    assert max(value for name, value in found.items() if name.startswith(part)) > 0


def test_every_parameter_has_a_gradient_from_the_total_loss():
    model, config = small_mae(), PretrainConfig()
    output = model(torch.randn(2, 3, 16, 16), some_mask(), 12)
    errors = patch_errors(output.reconstruction, output.targets)

    loss = attention_reconstruction_loss(errors, config.attention_reconstruction, 1.0)
    found = gradients(loss + output.category_logits.mean(), model)

    assert found.keys() == dict(model.named_parameters()).keys()


def test_there_is_no_category_head_without_its_loss():
    model = small_mae(category_consistency={"weight": 0.0})

    assert model.category_head is None
    assert model(torch.randn(2, 3, 16, 16), some_mask(), 12).category_logits is None


@pytest.mark.parametrize("channels", [1, 4])
def test_any_number_of_channels_works(channels):
    output = small_mae(channels)(torch.randn(2, channels, 16, 16), some_mask(), 12)

    assert output.reconstruction.shape == (2, 12, 16 * channels)


def test_no_value_of_a_tensor_is_read_by_the_host_in_a_step():
    config = PretrainConfig(**SIZES)
    model = build_mae(config, 1)

    # fake tensors have no values: reading one, which on a GPU would wait for it, raises
    with FakeTensorMode(allow_non_fake_inputs=True):
        images = torch.randn(2, 1, 16, 16)
        mask = build_masking(config.masking, 4)(images, 9, torch.Generator())
        output = model(images, mask.masked, 9)
        errors = patch_errors(output.reconstruction, output.targets)
        lesion, score = (x.gather(1, output.indices) for x in (mask.lesion, mask.score))
        ccl = config.category_consistency
        targets = category_targets(errors, lesion, score, ccl, 0.5)
        consistency = category_consistency_loss(output.category_logits, targets, ccl)
        arl = attention_reconstruction_loss(errors, config.attention_reconstruction, 0.5)
        loss = arl + ccl.weight * consistency

    assert loss.shape == ()


def test_bf16_changes_the_loss_by_less_than_2_percent():
    model, images, masked = small_mae(), torch.randn(2, 3, 16, 16), some_mask()

    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(images, masked, 12)
    exact = model(images, masked, 12)

    losses = [patch_errors(o.reconstruction, o.targets).mean().item() for o in (rounded, exact)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_pasted_patches_replace_only_their_own_pixels():
    images, indices = torch.randn(1, 3, 16, 16), torch.tensor([[1, 4]])

    pasted = paste_patches(images, torch.zeros(1, 2, 48), indices, 4)

    assert not pasted[:, :, :4, 4:8].any()
    assert not pasted[:, :, 4:8, :4].any()
    assert torch.equal(pasted[:, :, 8:], images[:, :, 8:])
    assert torch.equal(pasted[:, :, :4, :4], images[:, :, :4, :4])


def test_pasting_the_targets_gives_the_image_back():
    images = torch.randn(2, 3, 16, 16)

    output = small_mae()(images, some_mask(), 12)

    assert torch.equal(paste_patches(images, output.targets, output.indices, 4), images)


def test_category_head_starts_undecided():
    config = EncoderConfig(embed_dim=32, depth=1, num_heads=4)
    encoder = build_encoder(config, image_size=16, patch_size=4, channels=1)

    model = MaskedAutoencoder(encoder, DecoderConfig(), with_category_head=True)

    assert model.category_head.bias.item() == 0
    assert model.category_head.weight.std().item() == pytest.approx(0.02, rel=0.2)


def test_a_few_steps_reduce_the_loss():
    torch.manual_seed(0)
    model, masked = small_mae().train(), some_mask()
    images = torch.randn(2, 3, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    losses = []
    for _ in range(150):
        output = model(images, masked, 12)
        loss = patch_errors(output.reconstruction, output.targets).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[-1] < 0.5 * losses[0]
