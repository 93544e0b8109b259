"""Scalars of the updates."""

import pytest
import torch
from torch import Tensor

from amlp.engine import Meter
from amlp.errors import CheckpointError, Diverged

NAN = float("nan")


def _values(loss: float, share: float = 0.5) -> dict[str, Tensor]:
    return {"loss/total": torch.tensor(loss), "share": torch.tensor(share)}


def test_reading_gives_the_latest_update() -> None:
    meter = Meter()
    meter.add(1, _values(3.0))
    meter.add(2, _values(1.0))

    assert meter.read() == {"loss/total": 1.0, "share": 0.5}
    assert meter.read() == {}


def test_an_epoch_closes_with_its_means() -> None:
    meter = Meter()
    meter.add(1, _values(3.0))
    meter.read()
    meter.add(2, _values(1.0))

    assert meter.close_epoch()["loss/total"] == 2.0
    assert meter.close_epoch() == {}


def test_undefined_scalars_are_left_out_of_the_mean() -> None:
    meter = Meter()
    meter.add(1, _values(1.0, share=NAN))
    meter.add(2, _values(1.0, share=0.25))

    assert meter.close_epoch()["share"] == 0.25


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_a_loss_that_is_not_finite_names_its_step(value: float) -> None:
    meter = Meter()
    for step, loss in enumerate((1.0, value, 1.0), start=1):
        meter.add(step, _values(loss))

    with pytest.raises(Diverged, match="at step 2"):
        meter.read()


def test_gradients_that_are_not_finite_are_noticed() -> None:
    meter = Meter()
    meter.add(4, {"gradient_norm": torch.tensor(float("inf"))})

    with pytest.raises(Diverged, match="gradient_norm is inf at step 4"):
        meter.read()


def test_an_interrupted_epoch_closes_as_if_it_had_not_been() -> None:
    whole, first, second = Meter(), Meter(), Meter()
    for step in range(4):
        whole.add(step, _values(0.1 * step))
        (first if step < 2 else second).add(step, _values(0.1 * step))

    second.restore(first.state())

    assert second.close_epoch() == pytest.approx(whole.close_epoch())


def test_a_misshapen_state_is_refused() -> None:
    with pytest.raises(CheckpointError, match="meter/loss"):
        Meter().restore({"meter/loss": torch.zeros(3)})
