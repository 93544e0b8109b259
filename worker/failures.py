"""An exception of a run as the job's error: a stable code, a message without patient data."""

import errno

from obstore.exceptions import BaseError
from sqlalchemy.exc import DBAPIError

from amlp.errors import AmlpError
from service.errors import ServiceError
from worker.outcome import Outcome

_FULL = (errno.ENOSPC, errno.EDQUOT)
_OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError")  # the second is torch's, for devices


def describe_failure(error: Exception) -> Outcome:
    """Return the outcome of a run that raised `error`."""
    match error:
        case AmlpError():
            return _failed(error.code, str(error), retryable=error.retryable)
        case ServiceError():
            return _failed(f"service.{error.code}", error.detail, retryable=error.retryable)
        case MemoryError() | RuntimeError() if type(error).__name__ in _OUT_OF_MEMORY:
            message = "out of memory; use a smaller batch_size, image_size or encoder"
            return _failed("resources.out-of-memory", message, retryable=False)
        case OSError() if error.errno in _FULL:
            return _failed("storage.full", "no space left on the worker's disk", retryable=True)
        case DBAPIError() | BaseError() | OSError():
            message = f"database, storage or disk failed ({type(error).__name__})"
            return _failed("worker.infrastructure", message, retryable=True)
        case _:
            # the text of an unforeseen error might hold anything, so it goes nowhere
            message = f"unforeseen {type(error).__name__}; the worker's log says where"
            return _failed("worker.internal", message, retryable=False)


def _failed(code: str, message: str, *, retryable: bool) -> Outcome:
    return Outcome(status="failed", code=code, message=message, retryable=retryable)
