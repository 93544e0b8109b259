"""What a run does when its loss stops being a number: back to a sound state, at half the rate."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from amlp.errors import Diverged

MOST_ROLLBACKS = 2

_KEY = "rollback/count"


class Rollback:
    """Counts the rollbacks of a run, and keeps its first weights until a checkpoint has better.

    The count is part of every checkpoint, so that a run which is resumed after a rollback goes on
    at the same learning rate.

    Args:
        network: as the run begins it, before any checkpoint is loaded.
    """

    def __init__(self, network: nn.Module) -> None:
        self._count = 0
        self._first_weights: dict[str, Tensor] | None = {
            name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()
        }

    @property
    def factor(self) -> float:
        """What the learning rate is multiplied by."""
        return 0.5**self._count

    def state(self) -> dict[str, Tensor]:
        """Return the count as a named tensor."""
        return {_KEY: torch.tensor(self._count)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state`."""
        self._count = int(state.get(_KEY, torch.tensor(0)))

    def forget_first_weights(self) -> None:
        """Free the first weights: a checkpoint to go back to exists."""
        self._first_weights = None

    def count(self, error: Diverged) -> int:
        """Count one more rollback and return how many there are.

        Raises:
            Diverged: there were as many as there may be.
        """
        if self._count == MOST_ROLLBACKS:
            raise Diverged(
                f"{error}, after {MOST_ROLLBACKS} rollbacks that each halved the learning rate"
            ) from error
        self._count += 1
        return self._count

    def begin_again(self, network: nn.Module, error: Diverged) -> None:
        """Put the first weights back into `network`.

        Raises:
            Diverged: they were forgotten, since when somebody removed the checkpoints.
        """
        if self._first_weights is None:
            raise error
        network.load_state_dict(self._first_weights)
