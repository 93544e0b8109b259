import pytest
import torch
from timm.models.vision_transformer import Block as TimmBlock
from torch import nn

from amlp.models.transformer import Attention, Block, initialize


def test_block_equals_that_of_timm():
    block = Block(32, 4, mlp_ratio=2.0)
    timm_block = TimmBlock(32, 4, mlp_ratio=2.0, qkv_bias=True)
    timm_block.load_state_dict(block.state_dict())
    tokens = torch.randn(2, 10, 32)

    torch.testing.assert_close(block(tokens), timm_block(tokens), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("num_tokens", "dtype", "tolerance"),
    [(64, torch.float32, 1e-5), (64, torch.bfloat16, 2e-2), (1025, torch.bfloat16, 2e-2)],
)
def test_explicit_and_fused_attention_agree_with_the_textbook(num_tokens, dtype, tolerance):
    attention = Attention(16, 2)
    tokens = torch.randn(1, num_tokens, 16)

    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        mixed = attention(tokens).float()

    reference, _ = nn.functional.multi_head_attention_forward(
        tokens.transpose(0, 1), tokens.transpose(0, 1), tokens.transpose(0, 1), 16, 2,
        attention.qkv.weight, attention.qkv.bias, None, None, False, 0.0,
        attention.proj.weight, attention.proj.bias,
    )  # fmt: skip
    torch.testing.assert_close(mixed, reference.transpose(0, 1), rtol=tolerance, atol=tolerance)


def test_attention_does_not_mind_the_order_of_tokens():
    attention, tokens = Attention(16, 2), torch.randn(1, 9, 16)
    order = torch.randperm(9)

    torch.testing.assert_close(attention(tokens[:, order]), attention(tokens)[:, order])


def test_dropped_path_leaves_tokens_as_they_were():
    block = Block(16, 2, drop_path=0.999999).train()
    tokens = torch.randn(4, 9, 16)

    assert torch.equal(block(tokens), tokens)


def test_no_path_is_dropped_in_evaluation():
    block, plain = Block(16, 2, drop_path=0.5).eval(), Block(16, 2)
    plain.load_state_dict(block.state_dict())
    tokens = torch.randn(4, 9, 16)

    assert torch.equal(block(tokens), plain(tokens))


def test_linear_layers_start_within_xavier_bounds_and_without_bias():
    layer = nn.Linear(64, 32)

    initialize(layer)

    bound = (6 / (64 + 32)) ** 0.5
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
    assert not layer.bias.any()
