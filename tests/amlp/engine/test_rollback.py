"""The count of rollbacks and the weights a run begins with."""

import pytest
import torch
from torch import nn

from amlp.engine.rollback import Rollback
from amlp.errors import Diverged

ERROR = Diverged("loss/total is nan at step 7")


def test_each_rollback_halves_the_learning_rate() -> None:
    rollback = Rollback(nn.Linear(2, 1))

    factors = [rollback.factor]
    for _ in range(2):
        rollback.count(ERROR)
        factors.append(rollback.factor)

    assert factors == [1.0, 0.5, 0.25]


def test_a_third_rollback_is_refused_with_the_step() -> None:
    rollback = Rollback(nn.Linear(2, 1))
    rollback.count(ERROR)
    rollback.count(ERROR)

    with pytest.raises(Diverged, match="at step 7, after 2 rollbacks"):
        rollback.count(ERROR)


def test_the_count_survives_in_the_state_of_a_checkpoint() -> None:
    first, second = Rollback(nn.Linear(2, 1)), Rollback(nn.Linear(2, 1))
    first.count(ERROR)

    second.restore(first.state())

    assert second.factor == 0.5


def test_a_state_from_before_there_were_rollbacks_has_none() -> None:
    rollback = Rollback(nn.Linear(2, 1))

    rollback.restore({})

    assert rollback.factor == 1.0


def test_the_first_weights_come_back() -> None:
    network = nn.Linear(2, 1)
    before = network.weight.detach().clone()
    rollback = Rollback(network)
    nn.init.constant_(network.weight, float("nan"))

    rollback.begin_again(network, ERROR)

    assert torch.equal(network.weight, before)


def test_forgotten_first_weights_end_the_run() -> None:
    network = nn.Linear(2, 1)
    rollback = Rollback(network)
    rollback.forget_first_weights()

    with pytest.raises(Diverged):
        rollback.begin_again(network, ERROR)
