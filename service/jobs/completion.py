"""The end of a successful run: the job succeeds and its model is registered, or neither."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.jobs import lifecycle
from service.jobs.tables import Job, JobArtifact
from service.jobs.transition import Fence
from service.models.registry import NewVersion, record_evaluation, register


@dataclass(frozen=True)
class Produced:
    """What a run produced, and what it took.

    Attributes:
        metrics: by name.
        model_kind: `pretrained` or `segmenter`; None for an evaluation.
        card: the checkpoint's description; None for an evaluation.
        resources: `peak_memory_bytes` and `cpu_seconds` of the last attempt's process.
    """

    metrics: Mapping[str, Any]
    model_kind: str | None = None
    card: Mapping[str, Any] | None = None
    resources: Mapping[str, float] = field(default_factory=dict)


def complete(session: Session, fence: Fence, produced: Produced) -> Job | None:
    """T3 with its effects; None when the job was cancelled meanwhile or the owner is fenced off."""
    artifact_kind = "evaluation" if produced.card is None else "model"
    job = lifecycle.succeed(session, fence, artifact_kind=artifact_kind)
    if job is None:
        return None
    if produced.card is None:
        job.result = _evaluated(session, job, produced)
    else:
        job.result = _registered(session, job, produced)
    job.result |= {"metrics": dict(produced.metrics), "resources": dict(produced.resources)}
    job.progress = {**job.progress, "fraction": 1.0, "eta_seconds": 0.0}
    session.flush()
    return job


def _registered(session: Session, job: Job, produced: Produced) -> dict[str, Any]:
    artifact = session.scalars(
        select(JobArtifact)
        .where(
            JobArtifact.job_id == job.id,
            JobArtifact.epoch == job.epoch,
            JobArtifact.kind == "model",
        )
        .order_by(JobArtifact.created_at.desc())
    ).first()
    assert artifact is not None, "the guard of T3 saw the model's artifact"  # noqa: S101
    version = register(
        session,
        NewVersion(
            tenant_id=job.tenant_id,
            name=job.spec["model"],
            kind=produced.model_kind or "",
            key=artifact.key,
            sha256=artifact.sha256,
            card=produced.card or {},
            metrics=produced.metrics,
            job_id=job.id,
            dataset_version_id=job.dataset_version_id,
            dataset_digest=job.spec["dataset_digest"],
            parent_id=job.base_model_version_id,
        ),
    )
    model = {"id": version.id, "name": version.name, "number": version.number}
    return {"model": model}


def _evaluated(session: Session, job: Job, produced: Produced) -> dict[str, Any]:
    version_id = job.spec["model_version"]
    name = f"evaluation/{job.spec['dataset_digest']}/{job.spec['config']['split']}"
    found = {"job_id": job.id, **produced.metrics}
    record_evaluation(session, version_id, name=name, metrics=found)
    return {"model": {"id": version_id}}
