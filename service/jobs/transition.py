"""One guarded step of the state machine: an update, and its event in the same transaction.

The guard is the update's WHERE clause, so that of two racing writers exactly one moves the job. The
event's number comes from the job's own counter, which the same update takes and raises: events of
a job are numbered without gaps and become visible in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, case, exists, update
from sqlalchemy.orm import Session

from service.database import db_now
from service.jobs.tables import Job, JobArtifact, JobEvent

State = Literal["QUEUED", "RUNNING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED"]


@dataclass(frozen=True)
class Fence:
    """The right to write on behalf of a job: it holds as long as the row's epoch is this one."""

    job_id: str
    epoch: int

    def holds(self, *states: State) -> tuple[ColumnElement[bool], ...]:
        """Return the guard: this job, this epoch, one of `states`."""
        return Job.id == self.job_id, Job.epoch == self.epoch, Job.state.in_(states)


@dataclass(frozen=True)
class Move:
    """From where to where, by whom and why; what the state event says."""

    before: State
    after: State
    actor: str
    reason: str | None = None


def apply_move(
    session: Session,
    move: Move,
    guard: Sequence[ColumnElement[bool]],
    values: Mapping[str, Any] | None = None,  # columns of Job, or expressions over them
) -> list[Job]:
    """Move every job that is in the move's first state and passes `guard`; return those moved."""
    statement = (
        update(Job)
        .where(Job.state == move.before, *guard)
        .values(
            state=move.after,
            reason=move.reason,
            next_event_seq=Job.next_event_seq + 1,
            **(values or {}),
        )
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    moved = list(session.scalars(statement))
    session.add_all(_state_event(job, move) for job in moved)
    session.flush()
    return moved


def finished() -> dict[str, Any]:
    """Return the columns of a job that ends now."""
    return {
        "finished_at": db_now(),
        "phase": None,
        "owner": None,
        "pause_requested_at": None,
    }


def queued_again(wait_seconds: float = 0.0) -> dict[str, Any]:
    """Return the columns of a job that is due again after `wait_seconds`."""
    # unpublished, so that the reconciler wakes a worker as soon as the job is due
    return {
        "next_run_at": db_now() + wait_seconds,
        "last_published_at": None,
        "owner": None,
        "phase": None,
    }


def crashes() -> ColumnElement[int]:
    """Count this crash: the crashes in a row that came before any new checkpoint."""
    progressed = exists().where(
        JobArtifact.job_id == Job.id,
        JobArtifact.epoch == Job.epoch,
        JobArtifact.kind == "checkpoint",
    )
    return case((progressed, 0), else_=Job.crash_count + 1)


def _state_event(job: Job, move: Move) -> JobEvent:
    return JobEvent(
        job_id=job.id,
        seq=job.next_event_seq - 1,
        type="state",
        epoch=job.epoch,
        attempt=job.attempt,
        data={
            "from": move.before,
            "to": move.after,
            "actor": move.actor,
            "reason": move.reason,
        },
    )
