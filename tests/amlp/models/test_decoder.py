import torch

from amlp.config import DecoderConfig
from amlp.models.decoder import MaskedDecoder
from amlp.patches import PatchGrid

CONFIG = DecoderConfig(embed_dim=16, depth=2, num_heads=2)
VISIBLE = torch.tensor([[0, 3, 5]])
MASKED = torch.tensor([[1, 2, 4]])


def decoder():
    return MaskedDecoder(CONFIG, encoder_dim=24, grid=PatchGrid(2, 3, 4)).eval()


def test_one_token_comes_back_for_each_masked_patch():
    tokens = decoder()(torch.randn(2, 4, 24), VISIBLE.expand(2, 3), MASKED.expand(2, 3))

    assert tokens.shape == (2, 3, 16)


def test_masked_tokens_come_in_the_order_asked_for():
    net, tokens = decoder(), torch.randn(1, 4, 24)

    swapped = net(tokens, VISIBLE, MASKED[:, [2, 0, 1]])

    torch.testing.assert_close(swapped, net(tokens, VISIBLE, MASKED)[:, [2, 0, 1]])


def test_order_of_visible_patches_does_not_matter():
    net, tokens = decoder(), torch.randn(1, 4, 24)

    reordered = net(tokens[:, [0, 2, 3, 1]], VISIBLE[:, [1, 2, 0]], MASKED)

    torch.testing.assert_close(reordered, net(tokens, VISIBLE, MASKED))


def test_tokens_depend_on_where_the_visible_patches_are():
    net, tokens = decoder(), torch.randn(1, 4, 24)

    moved = net(tokens, VISIBLE[:, [1, 2, 0]], MASKED)

    assert not torch.allclose(moved, net(tokens, VISIBLE, MASKED))
