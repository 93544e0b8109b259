"""The state machine of a job: every transition there is, each one guarded update.

T0   -          -> QUEUED      submit
T1   QUEUED     -> RUNNING     claim: a new epoch, a lease
T2   RUNNING    -> RUNNING     heartbeat: the lease is prolonged
T3   RUNNING    -> SUCCEEDED   succeed: an artifact of the same epoch exists
T4   RUNNING    -> QUEUED      retry_later: attempts are left
T5   RUNNING    -> QUEUED      preempt: the attempt does not count
T6   RUNNING    -> FAILED      fail
T7   RUNNING    -> QUEUED      expiry.expire_lost: the lease ran out (FAILED if no attempt is left)
T8   QUEUED     -> CANCELLED   cancel
T9   RUNNING    -> CANCELLING  cancel
T10  CANCELLING -> CANCELLED   confirm_cancelled by the owner, expiry.force_cancels
T11  CANCELLING -> SUCCEEDED   never: a run that finished after its cancel is CANCELLED
T12  terminal   -> a new job   successors.retry_as_new, successors.extend
T13  QUEUED     -> FAILED      expiry.expire_queued: waited too long, or its data is gone
T14  QUEUED     -> QUEUED      pausing.pause: nobody claims it; RUNNING -> QUEUED: pausing.hold
T15  QUEUED     -> QUEUED      pausing.resume

Time is the database's clock only. `None` from an owner's transition means that its guard did not
hold: the job was cancelled, or the owner is fenced off.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, case, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.database import db_now, new_id
from service.errors import Conflict, NotFound, Unprocessable
from service.jobs.reasons import CRASH_REASONS, FailureReason
from service.jobs.tables import Job, JobArtifact, JobEvent
from service.jobs.transition import Fence, Move, apply_move, crashes, finished, queued_again

Standing = Literal["running", "pausing", "cancelling", "fenced"]

RETRY_GROWTH = 4.0
RETRY_JITTER = 0.25


@dataclass(frozen=True)
class NewJob:
    """What a client asked for, resolved and checked."""

    tenant_id: str
    kind: str
    spec: Mapping[str, Any]
    spec_sha256: str
    dataset_version_id: str
    base_model_version_id: str | None
    max_attempts: int
    idempotency_key: str | None = None
    parent_id: str | None = None


def submit(session: Session, new: NewJob) -> tuple[Job, bool]:
    """T0: insert the job; with a known idempotency key return that key's job and True.

    Raises:
        Unprocessable: the key was used for another request.
    """
    try:
        with session.begin_nested():
            job = _insert(session, new)
    except IntegrityError:  # another request with this key came first
        job_before = find_replayed(session, new.tenant_id, new.idempotency_key, new.spec_sha256)
        if job_before is None:
            raise
        return job_before, True
    return job, False


def find_replayed(
    session: Session, tenant_id: str, idempotency_key: str | None, spec_sha256: str
) -> Job | None:
    """Return the job that an earlier request with this idempotency key made, if there was one.

    Raises:
        Unprocessable: that request asked for something else.
    """
    if idempotency_key is None:
        return None
    job = session.scalar(
        select(Job).where(Job.tenant_id == tenant_id, Job.idempotency_key == idempotency_key)
    )
    if job is not None and job.spec_sha256 != spec_sha256:
        raise Unprocessable(
            f"this Idempotency-Key made {job.id} from a different request; use a new key",
            code="idempotency-key-reused",
        )
    return job


def claim(
    session: Session, *, owner: str, lease_seconds: float, job_id: str | None = None
) -> Job | None:
    """T1: take the job, or with no id the one that is due longest; None when there is none."""
    due = (
        Job.state == "QUEUED",
        Job.next_run_at <= db_now(),
        Job.cancel_requested_at.is_(None),
        Job.pause_requested_at.is_(None),
        Job.attempt < Job.max_attempts,
    )
    chosen = job_id or (
        select(Job.id)
        .where(*due)
        .order_by(Job.next_run_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    taken = apply_move(
        session,
        Move("QUEUED", "RUNNING", actor=owner),
        (Job.id == chosen, *due),
        {
            "epoch": Job.epoch + 1,
            "attempt": Job.attempt + 1,
            "owner": owner,
            "lease_until": db_now() + lease_seconds,
            "started_at": case((Job.started_at.is_(None), db_now()), else_=Job.started_at),
            "phase": "starting",
        },
    )
    return taken[0] if taken else None


def heartbeat(session: Session, fence: Fence, *, lease_seconds: float) -> Standing:
    """T2: prolong the lease; tell the owner whether to go on, stop politely or stop at once."""
    session.execute(
        update(Job)
        .where(*fence.holds("RUNNING"))
        .values(lease_until=db_now() + lease_seconds)
        .execution_options(synchronize_session=False)
    )
    return standing(session, fence)


def standing(session: Session, fence: Fence) -> Standing:
    """Return how the owner stands, without prolonging its lease."""
    columns = (Job.state, Job.epoch, Job.pause_requested_at)
    row = session.execute(select(*columns).where(Job.id == fence.job_id)).one_or_none()
    if row is None or row.epoch != fence.epoch:
        return "fenced"
    match row.state:
        case "RUNNING":
            return "running" if row.pause_requested_at is None else "pausing"
        case "CANCELLING":
            return "cancelling"
        case _:
            return "fenced"


def succeed(session: Session, fence: Fence, *, artifact_kind: str) -> Job | None:
    """T3: finish, provided that this very epoch left its artifact."""
    artifact = exists().where(
        JobArtifact.job_id == fence.job_id,
        JobArtifact.epoch == fence.epoch,
        JobArtifact.kind == artifact_kind,
        JobArtifact.sha256 != "",
    )
    return _move_own(session, fence, "SUCCEEDED", None, {**finished(), "error": None}, artifact)


def retry_later(
    session: Session,
    fence: Fence,
    *,
    reason: FailureReason,
    error: Mapping[str, Any],
    base_seconds: float,
) -> Job | None:
    """T4: queue again after `base_seconds` x 4^(attempt - 1) with jitter; None if none is left."""
    attempt = session.scalar(select(Job.attempt).where(Job.id == fence.job_id)) or 1
    wait = base_seconds * RETRY_GROWTH ** (attempt - 1)
    wait *= random.uniform(1 - RETRY_JITTER, 1 + RETRY_JITTER)  # noqa: S311  (no secret)
    values = {
        **queued_again(wait),
        "error": dict(error),
        "crash_count": crashes() if reason in CRASH_REASONS else Job.crash_count,
    }
    return _move_own(session, fence, "QUEUED", reason, values, Job.attempt < Job.max_attempts)


def preempt(session: Session, fence: Fence) -> Job | None:
    """T5: queue again at once; being stopped is not the job's fault."""
    values = {**queued_again(), "attempt": Job.attempt - 1}
    return _move_own(session, fence, "QUEUED", "preempted", values)


def fail(
    session: Session, fence: Fence, *, reason: FailureReason, error: Mapping[str, Any]
) -> Job | None:
    """T6: give up; `error` holds code and message, without patient data."""
    values = {
        **finished(),
        "error": dict(error),
        "crash_count": crashes() if reason in CRASH_REASONS else Job.crash_count,
    }
    return _move_own(session, fence, "FAILED", reason, values)


def confirm_cancelled(session: Session, fence: Fence) -> Job | None:
    """T10: the owner has stopped; its last checkpoint stays."""
    move = Move("CANCELLING", "CANCELLED", actor="worker", reason="cancelled")
    moved = apply_move(session, move, fence.holds("CANCELLING"), finished())
    return moved[0] if moved else None


def cancel(session: Session, tenant_id: str, job_id: str) -> Job:
    """T8, T9: cancel; a job that is being cancelled already is returned as it is.

    Raises:
        NotFound: no such job.
        Conflict: the job has ended.
    """
    job = lock_job(session, tenant_id, job_id)
    asked = {"cancel_requested_at": db_now()}
    match job.state:
        case "QUEUED":
            move = Move("QUEUED", "CANCELLED", actor="api", reason="cancelled")
            return apply_move(session, move, [Job.id == job_id], asked | finished())[0]
        case "RUNNING":
            move = Move("RUNNING", "CANCELLING", actor="api", reason="cancelled")
            return apply_move(session, move, [Job.id == job_id], asked)[0]
        case "CANCELLING":
            return job
        case _:
            raise Conflict(f"job {job_id} is {job.state}; only a job that has not ended can stop")


def lock_job(session: Session, tenant_id: str, job_id: str) -> Job:
    """Return a job that nobody else moves until this transaction ends.

    Raises:
        NotFound: there is none.
    """
    job = session.scalar(
        select(Job)
        .where(Job.id == job_id, Job.tenant_id == tenant_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if job is None:
        raise NotFound(f"there is no job {job_id}")
    return job


def _insert(session: Session, new: NewJob) -> Job:
    job = Job(
        id=new_id("job"),
        tenant_id=new.tenant_id,
        kind=new.kind,
        spec=dict(new.spec),
        spec_sha256=new.spec_sha256,
        idempotency_key=new.idempotency_key,
        dataset_version_id=new.dataset_version_id,
        base_model_version_id=new.base_model_version_id,
        parent_id=new.parent_id,
        max_attempts=new.max_attempts,
        next_run_at=db_now(),
        last_published_at=db_now(),  # the caller publishes right after the commit
        next_event_seq=2,
    )
    session.add(job)
    session.flush()
    data = {"from": None, "to": "QUEUED", "actor": "api", "reason": None}
    session.add(JobEvent(job_id=job.id, seq=1, type="state", epoch=0, attempt=0, data=data))
    session.flush()
    session.refresh(job)
    return job


def _move_own(
    session: Session,
    fence: Fence,
    after: Literal["QUEUED", "SUCCEEDED", "FAILED"],
    reason: str | None,
    values: Mapping[str, Any],
    *guard: ColumnElement[bool],
) -> Job | None:
    move = Move("RUNNING", after, actor="worker", reason=reason)
    moved = apply_move(session, move, (*fence.holds("RUNNING"), *guard), values)
    return moved[0] if moved else None
