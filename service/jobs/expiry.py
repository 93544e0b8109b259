"""What time alone does to jobs (T7, T10, T13 of `lifecycle.py`); the reconciler calls these.

Each is idempotent, so that two reconcilers at once are harmless.
"""

from typing import Any, Literal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.database import db_now
from service.datasets.tables import Dataset, DatasetVersion
from service.jobs.reasons import with_advice
from service.jobs.tables import Job
from service.jobs.transition import Move, apply_move, crashes, finished, queued_again


def expire_lost(session: Session) -> list[Job]:
    """T7: take jobs whose owner was not heard of for a lease; the new epoch fences it off now."""
    lost = Job.lease_until < db_now()
    bumped: dict[str, Any] = {"epoch": Job.epoch + 1, "crash_count": crashes()}
    poisoned = (lost, Job.attempt >= Job.max_attempts, crashes() >= Job.max_attempts)
    out_of_attempts = (lost, Job.attempt >= Job.max_attempts)
    return [
        *apply_move(
            session,
            Move("RUNNING", "FAILED", actor="reconciler", reason="poison"),
            poisoned,
            bumped | finished() | {"error": _lost_error("poison")},
        ),
        *apply_move(
            session,
            Move("RUNNING", "FAILED", actor="reconciler", reason="worker_lost"),
            out_of_attempts,
            bumped | finished() | {"error": _lost_error("worker_lost")},
        ),
        *apply_move(
            session,
            Move("RUNNING", "QUEUED", actor="reconciler", reason="worker_lost"),
            [lost],
            bumped | queued_again(),
        ),
    ]


def force_cancels(session: Session, *, timeout_seconds: float) -> list[Job]:
    """T10: end cancels whose owner is gone or does not stop."""
    move = Move("CANCELLING", "CANCELLED", actor="reconciler", reason="cancelled")
    overdue = or_(Job.lease_until < db_now(), Job.cancel_requested_at < db_now() - timeout_seconds)
    return apply_move(session, move, [overdue], {"epoch": Job.epoch + 1, **finished()})


def expire_queued(session: Session, *, ttl_seconds: float) -> list[Job]:
    """T13: give up on jobs that wait too long, counted from when they were due, or have no data."""
    deleted = Job.dataset_version_id.in_(
        select(DatasetVersion.id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(Dataset.deleted_at.is_not(None))
    )
    stale = (Job.next_run_at < db_now() - ttl_seconds, Job.pause_requested_at.is_(None))
    gone = {"code": "dataset-deleted", "message": "the data set was deleted before the job ran"}
    late = {"code": "expired", "message": f"no worker took the job within {ttl_seconds:.0f} s"}
    return [
        *apply_move(
            session,
            Move("QUEUED", "FAILED", actor="reconciler", reason="dataset_deleted"),
            [deleted],
            finished() | {"error": gone},
        ),
        *apply_move(
            session,
            Move("QUEUED", "FAILED", actor="reconciler", reason="expired"),
            stale,
            finished() | {"error": late},
        ),
    ]


def _lost_error(reason: Literal["poison", "worker_lost"]) -> dict[str, Any]:
    match reason:
        case "poison":
            message = "every attempt took its worker down before a new checkpoint"
        case "worker_lost":
            message = "the worker was not heard of any more and no attempt is left"
    return {
        "code": f"worker.{reason.replace('_', '-')}",
        "message": with_advice(reason, message),
    }
