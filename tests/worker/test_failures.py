"""Exceptions of a run as errors of its job."""

import errno

import pytest
import torch
from sqlalchemy.exc import OperationalError

from amlp.errors import Diverged, StorageFull
from service.errors import NotFound
from worker.failures import describe_failure


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (Diverged("the loss is NaN at step 3"), "training.diverged", False),
        (StorageFull("no space"), "storage.full", True),
        (NotFound("gone"), "service.not-found", False),
        (MemoryError(), "resources.out-of-memory", False),
        (torch.OutOfMemoryError("CUDA"), "resources.out-of-memory", False),
        (OSError(errno.ENOSPC, "full"), "storage.full", True),
        (OperationalError("x", {}, Exception()), "worker.infrastructure", True),
        (ConnectionError(), "worker.infrastructure", True),
        (KeyError("PatientName=Doe"), "worker.internal", False),
    ],
)
def test_failure_has_its_code_and_says_whether_to_try_again(
    error: Exception, code: str, retryable: bool
) -> None:
    outcome = describe_failure(error)

    assert (outcome.status, outcome.code, outcome.retryable) == ("failed", code, retryable)


def test_text_of_an_unforeseen_error_goes_nowhere() -> None:
    assert "Doe" not in describe_failure(KeyError("PatientName=Doe")).message
