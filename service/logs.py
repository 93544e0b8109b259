"""Logs as JSON lines: an event, known keys, no patient data.

Only the keys of ALLOWED_KEYS are written, so that no file name, query string, header or DICOM
value can slip into a log by an added argument.
"""

import logging
import sys
import traceback
from pathlib import PurePath
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

ALLOWED_KEYS = frozenset(
    {
        "actor",
        "attempt",
        "batch_size",
        "code",
        "dataset_id",
        "delay_seconds",
        "dropped",
        "duration_seconds",
        "epoch",
        "error",
        "event",
        "exit_code",
        "from_state",
        "host",
        "job_id",
        "key_id",
        "kind",
        "lease_seconds",
        "level",
        "logger",
        "method",
        "model_id",
        "num_bytes",
        "num_events",
        "num_files",
        "num_jobs",
        "owner",
        "pid",
        "port",
        "process",
        "queue_size",
        "reason",
        "request_id",
        "route",
        "signal",
        "state",
        "status",
        "step",
        "tenant_id",
        "timestamp",
        "to_state",
        "url",
        "version_id",
        "where",
        "worker",
    }
)


def configure_logging(level: str = "INFO") -> None:
    """Send structlog's and the standard library's records to stderr as JSON lines."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                keep_allowed_keys,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"


def keep_allowed_keys(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Drop keys that are not known to be harmless, and say how many."""
    kept = {key: value for key, value in event.items() if key in ALLOWED_KEYS}
    dropped = len(event) - len(kept)
    return {**kept, "dropped": dropped} if dropped else kept


def describe_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its class and the lines it passed; its message may hold data."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["where"] = [
            f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
    return event
