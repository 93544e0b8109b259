"""Scalars of the updates, read from the device in blocks so that a step never waits for it."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from amlp.errors import CheckpointError, Diverged

_PREFIX = "meter/"
_MUST_BE_FINITE = ("loss/", "gradient_norm")


class Meter:
    """Collects the scalars of each update, and their means over the epoch.

    A scalar that is undefined in an update (NaN) is left out of the mean; losses and the gradient
    norm must be finite.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[int, dict[str, Tensor]]] = []
        self._totals: dict[str, tuple[float, int]] = {}

    def add(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Take the scalars of update `step` (from 1); does not synchronise."""
        self._pending.append((step, {name: value.detach() for name, value in values.items()}))

    def read(self) -> dict[str, float]:
        """Return the scalars of the latest update (synchronises).

        Raises:
            Diverged: a loss or the gradient norm was not finite in an update since the last read.
        """
        latest: dict[str, float] = {}
        if self._pending:
            rows = torch.stack([_row(values) for _, values in self._pending]).tolist()
            for (step, values), row in zip(self._pending, rows, strict=True):
                latest = self._count(step, dict(zip(values, row, strict=True)))
            self._pending.clear()
        return latest

    def close_epoch(self) -> dict[str, float]:
        """Return the means since the epoch began, and begin the next."""
        self.read()
        means = {name: total / count for name, (total, count) in self._totals.items()}
        self._totals.clear()
        return means

    def state(self) -> dict[str, Tensor]:
        """Return what an unfinished epoch has summed up, as named tensors."""
        self.read()
        return {
            _PREFIX + name: torch.tensor(pair, dtype=torch.float64)
            for name, pair in self._totals.items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state`."""
        for name, pair in state.items():
            if name.startswith(_PREFIX):
                if pair.shape != (2,):
                    raise CheckpointError(f"{name} has shape {tuple(pair.shape)}, expected (2,)")
                total, count = pair.tolist()
                self._totals[name.removeprefix(_PREFIX)] = total, int(count)

    def _count(self, step: int, values: dict[str, float]) -> dict[str, float]:
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        for name in values.keys() - finite.keys():
            if name.startswith(_MUST_BE_FINITE):
                raise Diverged(f"{name} is {values[name]} at step {step}, expected a finite number")
        for name, value in finite.items():
            total, count = self._totals.get(name, (0.0, 0))
            self._totals[name] = total + value, count + 1
        return finite


def _row(values: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([value.float() for value in values.values()])
