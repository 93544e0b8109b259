"""The processes of one run: a single one, or several under torchrun."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

Result = TypeVar("Result")


@dataclass(frozen=True)
class Processes:
    """This process among those of the run."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports events."""
        return self.rank == 0

    def first_does(self, action: Callable[[], None]) -> None:
        """Let the first process do `action` while the others wait for it."""
        if self.is_first:
            action()
        if self.world > 1:
            distributed.barrier()

    def in_turn(self, action: Callable[[], Result]) -> Result:
        """Return `action()`, done by the first process before the others begin it."""
        if self.world > 1 and not self.is_first:
            distributed.barrier()
        result = action()
        if self.world > 1 and self.is_first:
            distributed.barrier()
        return result

    def agree(self, flag: bool) -> bool:
        """Return the first process's `flag` in all of them (synchronises)."""
        if self.world == 1:
            return flag
        shared = torch.tensor(flag, device=self.device)
        distributed.broadcast(shared, src=0)
        return bool(shared)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return `network`, its gradients averaged over the processes."""
        if self.world == 1:
            return network
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices)


@contextmanager
def processes() -> Iterator[Processes]:
    """Join the processes that torchrun started, or stand alone."""
    if not distributed.is_torchelastic_launched():
        yield Processes(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        return
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", distributed.get_node_local_rank())
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()
