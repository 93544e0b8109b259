"""How a training process ended becomes a transition of its job."""

import signal
import time
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.jobs import lifecycle
from service.jobs.completion import Produced, complete
from service.jobs.pausing import hold
from service.jobs.reasons import FailureReason, with_advice
from service.jobs.tables import Job
from service.jobs.transition import Fence, crashes
from service.resources import Resources
from worker.outcome import Outcome

RETRY_SECONDS = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Ending:
    """How the process ended.

    Attributes:
        exit_code: negative for a signal.
        asked: what it was asked for.
        outcome: what it said itself.
        memory_ran_out: whether the machine's memory ran out meanwhile.
    """

    exit_code: int
    asked: Literal["", "cancel", "pause", "preempt", "fenced"]
    outcome: Outcome | None
    memory_ran_out: bool = False


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
            return hold(session, fence) or lifecycle.preempt(session, fence)
        case Outcome() as outcome:
            error = _error(outcome.reason, outcome.code, outcome.message)
            retried = outcome.retryable and lifecycle.retry_later(
                session, fence, reason=outcome.reason, error=error, base_seconds=base_seconds
            )
            return retried or lifecycle.fail(session, fence, reason=outcome.reason, error=error)
        case None if ending.asked in {"pause", "preempt"}:  # did not stop in time and was killed
            return hold(session, fence) or lifecycle.preempt(session, fence)
        case None:
            return _crash(session, fence, ending, base_seconds)


def _crash(session: Session, fence: Fence, ending: Ending, base_seconds: float) -> Job | None:
    reason: FailureReason = "crashed"
    if ending.memory_ran_out and -ending.exit_code == signal.SIGKILL:
        reason = "oom_killed"
    code = f"worker.{reason.replace('_', '-')}"
    message = f"the training process ended with {_how(ending.exit_code)} and no word"
    error = _error(reason, code, message)
    retried = lifecycle.retry_later(
        session, fence, reason=reason, error=error, base_seconds=base_seconds
    )
    if retried is not None:
        return retried
    if reason == "crashed" and _crashed_every_time(session, fence):
        reason, error = "poison", _error("poison", code, f"{message}, in every attempt")
    return lifecycle.fail(session, fence, reason=reason, error=error)


def _crashed_every_time(session: Session, fence: Fence) -> bool:
    row = select(crashes() >= Job.max_attempts).where(Job.id == fence.job_id)
    return bool(session.scalar(row))


def _error(reason: FailureReason, code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": with_advice(reason, message)}


def _how(exit_code: int) -> str:
    if exit_code >= 0:
        return f"code {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal has no name
        return f"signal {-exit_code}"
