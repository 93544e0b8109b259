"""Which number format a run computes in."""

import pytest
import torch

from amlp.precision import autocast, uses_bf16

CPU = torch.device("cpu")


def test_it_is_what_was_asked_for() -> None:
    assert uses_bf16("bf16", CPU)
    assert not uses_bf16("fp32", CPU)


@pytest.mark.parametrize("capable", [True, False])
def test_auto_follows_the_processor(capable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable})

    assert uses_bf16("auto", CPU) is capable


def test_matrix_products_are_of_that_format() -> None:
    with autocast("bf16", CPU):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    with autocast("fp32", CPU):
        exact = torch.ones(2, 2) @ torch.ones(2, 2)

    assert product.dtype == torch.bfloat16
    assert exact.dtype == torch.float32
