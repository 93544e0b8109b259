"""Seeds of the network's own randomness, and deterministic kernels."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from amlp.data import Stream, derive_seed


def seed_network(seed: int, *, step: int, rank: int) -> None:
    """Seed dropout and stochastic depth of one update.

    Seeding each update from its number makes resuming exact without saving generator states.
    """
    torch.manual_seed(derive_seed(seed, Stream.NETWORK, step, rank))


def mask_generator(seed: int, *, step: int, rank: int, device: torch.device) -> torch.Generator:
    """Return the generator of one update's masks, independent of every other draw.

    It lives on the images' device: a copy from the CPU would make each update wait.
    """
    return torch.Generator(device).manual_seed(derive_seed(seed, Stream.MASK, step, rank))


@contextmanager
def deterministic_kernels(enabled: bool) -> Iterator[None]:
    """Refuse operations whose result may vary from run to run, where `enabled`."""
    before = torch.are_deterministic_algorithms_enabled()
    if enabled:
        # cuBLAS reads it when its first handle is made; without it torch refuses matrix products.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(enabled or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
