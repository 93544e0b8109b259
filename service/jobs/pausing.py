"""Pause and resume (T14, T15 of `lifecycle.py`): a paused job is queued and nobody claims it.

The wish is a column of its own: a running job whose worker dies on the way is paused all the same.
"""

from sqlalchemy.orm import Session

from service.database import db_now
from service.errors import Conflict
from service.jobs.lifecycle import lock_job
from service.jobs.tables import Job
from service.jobs.transition import Fence, Move, apply_move, queued_again


def pause(session: Session, tenant_id: str, job_id: str) -> Job:
    """T14: pause a waiting job at once, a running one after a checkpoint; twice changes nothing.

    Raises:
        NotFound: no such job.
        Conflict: the job has ended or is being cancelled.
    """
    job = lock_job(session, tenant_id, job_id)
    if job.state not in {"QUEUED", "RUNNING"}:
        raise Conflict(f"job {job_id} is {job.state}; only a waiting or running job can pause")
    if job.pause_requested_at is not None:
        return job
    if job.state == "QUEUED":
        move = Move("QUEUED", "QUEUED", actor="api", reason="paused")
        return apply_move(session, move, [Job.id == job_id], {"pause_requested_at": db_now()})[0]
    job.pause_requested_at = db_now()
    session.flush()
    session.refresh(job)
    return job


def hold(session: Session, fence: Fence) -> Job | None:
    """T14: put a job back that was asked to pause; the attempt does not count."""
    move = Move("RUNNING", "QUEUED", actor="worker", reason="paused")
    guard = (*fence.holds("RUNNING"), Job.pause_requested_at.is_not(None))
    held = apply_move(session, move, guard, {**queued_again(), "attempt": Job.attempt - 1})
    return held[0] if held else None


def resume(session: Session, tenant_id: str, job_id: str) -> Job:
    """T15: let a paused job go on from its checkpoint, as soon as a worker is free.

    One that has not stopped yet either goes on or is put back and claimed again.

    Raises:
        NotFound: no such job.
        Conflict: the job is not paused.
    """
    job = lock_job(session, tenant_id, job_id)
    if job.state not in {"QUEUED", "RUNNING"} or job.pause_requested_at is None:
        raise Conflict(f"job {job_id} is {job.state} and not paused; there is nothing to resume")
    if job.state == "QUEUED":
        move = Move("QUEUED", "QUEUED", actor="api", reason="resumed")
        due = {"next_run_at": db_now(), "last_published_at": db_now()}  # the caller publishes
        return apply_move(session, move, [Job.id == job_id], {"pause_requested_at": None, **due})[0]
    job.pause_requested_at = None
    session.flush()
    session.refresh(job)
    return job
