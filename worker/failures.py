"""An exception of a run as its job's error: reason, stable code, message without patient data."""

import errno

from obstore.exceptions import BaseError
from sqlalchemy.exc import DBAPIError

from amlp.errors import AmlpError, CheckpointError, ConfigError, DataError, Diverged, StorageFull
from service.errors import ServiceError, StorageExhausted
from service.jobs.reasons import FailureReason
from worker.outcome import Outcome

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CPU_ALLOCATOR = "DefaultCPUAllocator"  # all that sets torch's error apart on the CPU


def describe_failure(error: Exception) -> Outcome:
    """Return the outcome of a run that raised `error`."""
    match error:
        case AmlpError():
            reason: FailureReason = _library_reason(error)
            return _failed(reason, error.code, str(error), retryable=error.retryable)
        case ServiceError():
            reason = "disk_full" if isinstance(error, StorageExhausted) else "infrastructure"
            code = f"service.{error.code}"
            return _failed(reason, code, error.detail, retryable=error.retryable)
        case DBAPIError() | BaseError() | OSError():
            return _describe_infrastructure(error)
        case _:
            return _describe_unforeseen(error)


def _describe_infrastructure(error: DBAPIError | BaseError | OSError) -> Outcome:
    if isinstance(error, OSError) and error.errno in _FULL:
        message = "no space left on the worker's disk"
        return _failed("disk_full", "storage.full", message, retryable=True)
    message = f"database, storage or disk failed ({type(error).__name__})"
    return _failed("infrastructure", "worker.infrastructure", message, retryable=True)


def _describe_unforeseen(error: Exception) -> Outcome:
    if type(error).__name__ == "OutOfMemoryError":  # torch's, of a device
        message = "the GPU's memory does not hold a step of this run"
        return _failed("cuda_oom", "resources.gpu-out-of-memory", message)
    if isinstance(error, MemoryError) or _CPU_ALLOCATOR in str(error):
        message = "the worker's memory does not hold this run"
        return _failed("out_of_memory", "resources.out-of-memory", message)
    # the text of an unforeseen error might hold anything, so it goes nowhere
    message = f"unforeseen {type(error).__name__}"
    return _failed("internal", "worker.internal", message)


def _library_reason(error: AmlpError) -> FailureReason:
    match error:
        case ConfigError():
            return "config"
        case DataError():
            return "data"
        case CheckpointError():
            return "checkpoint"
        case StorageFull():
            return "disk_full"
        case Diverged():
            return "diverged"
        case _:
            return "internal"


def _failed(reason: FailureReason, code: str, message: str, *, retryable: bool = False) -> Outcome:
    return Outcome(status="failed", reason=reason, code=code, message=message, retryable=retryable)
