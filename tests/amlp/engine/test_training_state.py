"""The optimizer's state as named tensors."""

import pytest
import torch
from torch import nn

from amlp.config import OptimizerConfig
from amlp.engine import build_optimizer, optimizer_state, restore_optimizer
from amlp.errors import CheckpointError


def _trained() -> tuple[nn.Module, torch.optim.AdamW]:
    network = nn.Linear(3, 2)
    optimizer = build_optimizer(network, OptimizerConfig())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return network, optimizer


def test_state_is_keyed_by_parameter_names() -> None:
    state = optimizer_state(*_trained())

    assert set(state) == {
        f"optimizer/{name}/{part}"
        for name in ("weight", "bias")
        for part in ("step", "exp_avg", "exp_avg_sq")
    }


def test_a_restored_optimizer_makes_the_same_update() -> None:
    network, optimizer = _trained()
    copy = nn.Linear(3, 2)
    copy.load_state_dict(network.state_dict())
    copied = build_optimizer(copy, OptimizerConfig())

    restore_optimizer(copy, copied, optimizer_state(network, optimizer))
    for net, opt in ((network, optimizer), (copy, copied)):
        opt.zero_grad()
        net(torch.full((1, 3), 0.3)).sum().backward()
        opt.step()

    assert torch.equal(copy.weight, network.weight)


def test_a_missing_or_misshapen_part_is_refused() -> None:
    network, optimizer = _trained()
    state = optimizer_state(network, optimizer)
    fresh = build_optimizer(network, OptimizerConfig())

    with pytest.raises(CheckpointError, match="weight/step is absent"):
        restore_optimizer(network, fresh, {})
    with pytest.raises(CheckpointError, match=r"bias/exp_avg is \(5,\)"):
        restore_optimizer(network, fresh, state | {"optimizer/bias/exp_avg": torch.zeros(5)})
