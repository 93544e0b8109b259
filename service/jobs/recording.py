"""What a running job reports, written under its epoch: events, progress, artifacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.database import db_now, new_id
from service.jobs.tables import Job, JobArtifact, JobEvent
from service.jobs.transition import Fence

BEST_METRIC = "validation/dice"
KEEP_CHECKPOINTS = 3


@dataclass(frozen=True)
class NewArtifact:
    """A file or folder that lies in storage by now."""

    kind: str
    name: str
    key: str
    sha256: str
    num_bytes: int
    step: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewEvent:
    """One event; an event about an artifact gets that artifact's id into its data."""

    type: str
    data: Mapping[str, Any]
    artifact: NewArtifact | None = None


def record(
    session: Session,
    fence: Fence,
    events: Sequence[NewEvent],
    *,
    progress: Mapping[str, Any] | None = None,
    phase: str | None = None,
) -> bool:
    """Append events in order and note the progress; False when the writer is fenced off."""
    values: dict[str, Any] = {"next_event_seq": Job.next_event_seq + len(events)}
    if progress is not None:
        values |= {"progress": dict(progress), "step": progress.get("step", 0)}
        values |= {"progress_at": db_now()}
    if phase is not None:
        values["phase"] = phase
    row = session.execute(
        update(Job)
        .where(*fence.holds("RUNNING", "CANCELLING"))
        .values(**values)
        .returning(Job.next_event_seq, Job.attempt)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        return False
    first = row.next_event_seq - len(events)
    for seq, event in enumerate(events, start=first):
        data = dict(event.data)
        if event.artifact is not None:
            data["artifact_id"] = _add_artifact(session, fence, event.artifact)
        session.add(
            JobEvent(
                job_id=fence.job_id,
                seq=seq,
                type=event.type,
                epoch=fence.epoch,
                attempt=row.attempt,
                data=data,
            )
        )
    session.flush()
    return True


def checkpoints(session: Session, job_id: str) -> list[JobArtifact]:
    """Return the job's checkpoints, newest first."""
    return list(
        session.scalars(
            select(JobArtifact)
            .where(JobArtifact.job_id == job_id, JobArtifact.kind == "checkpoint")
            .order_by(JobArtifact.step.desc(), JobArtifact.epoch.desc())
        )
    )


def forget_old_checkpoints(session: Session, job_id: str) -> list[str]:
    """Drop the rows of all but the newest three checkpoints, the best, and the last epoch's end.

    Returns their keys. A checkpoint without metrics was written at a stop; a run that diverges goes
    back to an epoch's end.
    """
    found = checkpoints(session, job_id)
    keep = {artifact.id for artifact in found[:KEEP_CHECKPOINTS]}
    keep |= {artifact.id for artifact in [one for one in found if one.metrics][:1]}
    scored = [artifact for artifact in found if BEST_METRIC in artifact.metrics]
    if scored:
        keep.add(max(scored, key=lambda artifact: artifact.metrics[BEST_METRIC]).id)
    old = [artifact for artifact in found if artifact.id not in keep]
    session.execute(delete(JobArtifact).where(JobArtifact.id.in_([one.id for one in old])))
    kept_keys = {artifact.key for artifact in found if artifact.id in keep}
    return [artifact.key for artifact in old if artifact.key not in kept_keys]


def _add_artifact(session: Session, fence: Fence, new: NewArtifact) -> str:
    artifact = JobArtifact(
        id=new_id("art"),
        job_id=fence.job_id,
        epoch=fence.epoch,
        kind=new.kind,
        step=new.step,
        name=new.name,
        key=new.key,
        sha256=new.sha256,
        num_bytes=new.num_bytes,
        metrics=dict(new.metrics),
    )
    session.add(artifact)
    return artifact.id
