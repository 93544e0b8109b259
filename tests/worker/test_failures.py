"""Exceptions of a run as errors of its job."""

import errno

import pytest
import torch
from sqlalchemy.exc import OperationalError

from amlp.errors import CheckpointError, ConfigError, Diverged, EmptyDataset, StorageFull
from service.errors import NotFound, StorageExhausted
from worker.failures import describe_failure


@pytest.mark.parametrize(
    ("error", "reason", "code", "retryable"),
    [
        (Diverged("the loss is NaN at step 3"), "diverged", "training.diverged", False),
        (EmptyDataset("no case"), "data", "data.empty", False),
        (ConfigError("contradiction"), "config", "config.invalid", False),
        (CheckpointError("damaged"), "checkpoint", "checkpoint.invalid", False),
        (StorageFull("no space"), "disk_full", "storage.full", True),
        (StorageExhausted("no space"), "disk_full", "service.disk-watermark", True),
        (OSError(errno.ENOSPC, "full"), "disk_full", "storage.full", True),
        (NotFound("gone"), "infrastructure", "service.not-found", False),
        (OperationalError("x", {}, Exception()), "infrastructure", "worker.infrastructure", True),
        (ConnectionError(), "infrastructure", "worker.infrastructure", True),
        (MemoryError(), "out_of_memory", "resources.out-of-memory", False),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate"),
            "out_of_memory",
            "resources.out-of-memory",
            False,
        ),
        (torch.OutOfMemoryError("CUDA"), "cuda_oom", "resources.gpu-out-of-memory", False),
        (KeyError("PatientName=Doe"), "internal", "worker.internal", False),
    ],
)
def test_failure_has_its_reason_and_code_and_says_whether_to_try_again(
    error: Exception, reason: str, code: str, retryable: bool
) -> None:
    outcome = describe_failure(error)

    assert outcome.status == "failed"
    assert (outcome.reason, outcome.code, outcome.retryable) == (reason, code, retryable)


def test_cpu_allocator_really_fails_as_expected() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)

    assert describe_failure(caught.value).reason == "out_of_memory"


def test_text_of_an_unforeseen_error_goes_nowhere() -> None:
    assert "Doe" not in describe_failure(KeyError("PatientName=Doe")).message
