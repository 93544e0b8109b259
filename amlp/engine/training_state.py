"""The optimizer's state as named tensors, so that a checkpoint needs no pickle."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from amlp.errors import CheckpointError

_PREFIX = "optimizer/"
_PARTS = ("step", "exp_avg", "exp_avg_sq")


def optimizer_state(network: nn.Module, optimizer: AdamW) -> dict[str, Tensor]:
    """Return AdamW's state, keyed by the parameters' names."""
    return {
        f"{_PREFIX}{name}/{part}": optimizer.state[parameter][part]
        for name, parameter in _stateful(network, optimizer)
        for part in _PARTS
    }


def restore_optimizer(network: nn.Module, optimizer: AdamW, state: Mapping[str, Tensor]) -> None:
    """Put `state` into an optimizer that has made no update yet.

    Raises:
        CheckpointError: a parameter's state is missing or has another shape.
    """
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            optimizer.state[parameter] = {
                part: _part(state, f"{_PREFIX}{name}/{part}", parameter) for part in _PARTS
            }


def _stateful(network: nn.Module, optimizer: AdamW) -> Iterator[tuple[str, nn.Parameter]]:
    return ((n, p) for n, p in network.named_parameters() if p in optimizer.state)


def _part(state: Mapping[str, Tensor], key: str, parameter: nn.Parameter) -> Tensor:
    expected = torch.Size() if key.endswith("/step") else parameter.shape
    if key not in state or state[key].shape != expected:
        seen = tuple(state[key].shape) if key in state else "absent"
        raise CheckpointError(f"{key} is {seen}, expected shape {tuple(expected)}")
    return state[key].to(parameter.device, copy=True)
