"""How a training process ended becomes a transition of its job."""

import signal
import time
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.jobs import lifecycle
from service.jobs.completion import Produced, complete
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.resources import Resources
from worker.outcome import Outcome

RETRY_SECONDS = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Ending:
    """How the process ended: its exit code, what it was asked for, what it said itself."""

    exit_code: int
    asked: Literal["", "cancel", "preempt", "fenced"]
    outcome: Outcome | None


def settle(resources: Resources, fence: Fence, ending: Ending) -> None:
    """Move the job according to its process's end; an owner that is fenced off changes nothing.

    While the database is down it tries again for the length of a lease. After that the reconciler
    takes the job, and the next attempt goes on from the last checkpoint.
    """
    deadline = time.monotonic() + resources.settings.lease_seconds
    while True:
        try:
            with resources.database.write() as session:
                job = _move(session, fence, ending, resources.settings.retry_base_seconds)
                job = job or lifecycle.confirm_cancelled(session, fence)
        except DBAPIError:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            break
    _log.info(
        "job.settled" if job else "job.fenced",
        job_id=fence.job_id,
        epoch=fence.epoch,
        exit_code=ending.exit_code,
        state=job.state if job else None,
        reason=job.reason if job else None,
    )


def _move(session: Session, fence: Fence, ending: Ending, base_seconds: float) -> Job | None:
    match ending.outcome:
        case Outcome(status="succeeded") as outcome:
            produced = Produced(
                outcome.metrics, outcome.model_kind, outcome.card, outcome.resources
            )
            return complete(session, fence, produced)
        case Outcome(status="stopped"):
            return lifecycle.preempt(session, fence)
        case Outcome() as outcome:
            error = {"code": outcome.code, "message": outcome.message}
            retried = outcome.retryable and lifecycle.retry_later(
                session, fence, reason="transient", error=error, base_seconds=base_seconds
            )
            return retried or lifecycle.fail(session, fence, reason="error", error=error)
        case None if ending.asked == "preempt":  # it did not stop in time and was killed
            return lifecycle.preempt(session, fence)
        case None:
            return _crash(session, fence, ending.exit_code, base_seconds)


def _crash(session: Session, fence: Fence, exit_code: int, base_seconds: float) -> Job | None:
    how = f"signal {signal.Signals(-exit_code).name}" if exit_code < 0 else f"code {exit_code}"
    error = {
        "code": "worker.crashed",
        "message": f"the training process ended with {how} and no word; "
        "SIGKILL is often the system's answer to a lack of memory",
    }
    retried = lifecycle.retry_later(
        session, fence, reason="crashed", error=error, base_seconds=base_seconds
    )
    if retried is not None:
        return retried
    job = session.get(Job, fence.job_id)
    is_poison = job is not None and job.crash_count + 1 >= job.max_attempts
    return lifecycle.fail(session, fence, reason="poison" if is_poison else "crashed", error=error)
