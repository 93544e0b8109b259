import pytest
import torch
from torch._subclasses import FakeTensorMode

from amlp.config import (
    BlockwiseMaskingConfig,
    HardSelectionConfig,
    KMeansConfig,
    MaskedPatchSelectionConfig,
    RandomMaskingConfig,
)
from amlp.masking import BlockwiseMasking, MaskedPatchSelection, RandomMasking, build_masking

STRATEGIES = [
    (RandomMaskingConfig(), RandomMasking),
    (BlockwiseMaskingConfig(), BlockwiseMasking),
    (MaskedPatchSelectionConfig(), MaskedPatchSelection),
]


@pytest.mark.parametrize(("config", "kind"), STRATEGIES)
def test_strategy_is_built_from_its_config(config, kind):
    assert isinstance(build_masking(config, 4), kind)


@pytest.mark.parametrize("config", [config for config, _ in STRATEGIES])
def test_every_strategy_masks_the_given_number_of_patches(config):
    mask = build_masking(config, 4)(torch.randn(3, 2, 24, 32), 17, torch.Generator())

    assert mask.masked.sum(dim=1).tolist() == [17] * 3


@pytest.mark.parametrize("config", [config for config, _ in STRATEGIES])
def test_every_strategy_leaves_the_generator_in_the_same_state(config):
    generator, reference = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)

    build_masking(config, 4)(torch.randn(2, 1, 24, 24), 9, generator)

    torch.rand(2, 36, generator=reference)
    assert torch.equal(generator.get_state(), reference.get_state())


@pytest.mark.parametrize(
    "config",
    [
        *(config for config, _ in STRATEGIES),
        MaskedPatchSelectionConfig(clustering=KMeansConfig(), selection=HardSelectionConfig()),
    ],
)
def test_no_value_of_a_tensor_is_read_by_the_host(config):
    strategy = build_masking(config, 4)

    # fake tensors have no values: reading one, which on a GPU would wait for it, raises
    with FakeTensorMode():
        mask = strategy(torch.randn(2, 1, 24, 24), 9, torch.Generator())

    assert mask.masked.shape == (2, 36)
