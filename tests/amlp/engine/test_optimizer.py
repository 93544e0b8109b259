"""Parameter groups."""

from torch import nn

from amlp.config import OptimizerConfig
from amlp.engine import build_optimizer, set_learning_rate
from amlp.models import build_mae, build_segmenter
from tests.tiny_runs import finetune_config, pretrain_config


def _settings(network: nn.Module, **values: float) -> dict[str, tuple[float, float]]:
    """Return (weight decay, rate scale) by parameter name."""
    optimizer = build_optimizer(network, OptimizerConfig(), **values)  # type: ignore[arg-type]
    names = {parameter: name for name, parameter in network.named_parameters()}
    return {
        names[parameter]: (group["weight_decay"], group["lr_scale"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_every_trainable_parameter_is_in_one_group() -> None:
    network = build_mae(pretrain_config(), channels=1)

    assert set(_settings(network)) == {name for name, _ in network.named_parameters()}


def test_vectors_and_tokens_are_not_decayed() -> None:
    settings = _settings(build_mae(pretrain_config(), channels=1))

    spared = {name for name, (decay, _) in settings.items() if decay == 0}
    assert "encoder.cls_token" in spared
    assert "decoder.mask_token" in spared
    assert all(name in spared for name in settings if name.endswith(".bias"))
    assert "encoder.blocks.0.attn.qkv.weight" not in spared


def test_deeper_layers_learn_faster() -> None:
    network = build_segmenter(finetune_config(), channels=1, num_classes=2)

    settings = _settings(network, layer_decay=0.5, depth=2)

    scale = {name: factor for name, (_, factor) in settings.items()}
    assert scale["encoder.patch_embed.proj.weight"] == 0.125
    assert scale["encoder.cls_token"] == 0.125
    assert scale["encoder.blocks.0.attn.qkv.weight"] == 0.25
    assert scale["encoder.blocks.1.attn.qkv.weight"] == 0.5
    assert scale["encoder.norm.weight"] == 1
    assert all(factor == 1 for name, factor in scale.items() if name.startswith("head."))


def test_frozen_parameters_are_left_out() -> None:
    network = nn.Linear(2, 2)
    network.bias.requires_grad_(False)

    assert set(_settings(network)) == {"weight"}


def test_rates_keep_their_scale() -> None:
    network = build_segmenter(finetune_config(), channels=1, num_classes=2)
    optimizer = build_optimizer(network, OptimizerConfig(), layer_decay=0.5, depth=2)

    set_learning_rate(optimizer, 0.1)

    assert {group["lr"] for group in optimizer.param_groups} == {0.1, 0.05, 0.025, 0.0125}
