"""Seeds of updates, and deterministic kernels."""

import pytest
import torch

from amlp.engine import deterministic_kernels, mask_generator, seed_network

CPU = torch.device("cpu")


def test_an_update_s_seed_depends_on_its_number_and_process() -> None:
    draws = []
    for step, rank in ((0, 0), (0, 0), (1, 0), (0, 1)):
        seed_network(5, step=step, rank=rank)
        draws.append(float(torch.rand(())))

    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


def test_masks_do_not_depend_on_what_else_was_drawn() -> None:
    first = torch.rand(3, generator=mask_generator(0, step=4, rank=0, device=CPU))
    torch.rand(100)
    second = torch.rand(3, generator=mask_generator(0, step=4, rank=0, device=CPU))

    assert torch.equal(first, second)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_former_kernels_come_back(wanted: bool) -> None:
    with deterministic_kernels(wanted):
        inside = torch.are_deterministic_algorithms_enabled()

    assert inside is wanted
    assert not torch.are_deterministic_algorithms_enabled()
