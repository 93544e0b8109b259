"""Rows of jobs: the job itself, which is the only truth about it, its history, its checkpoints."""

from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Double, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Base, db_now
from service.datasets.tables import DatasetVersion

STATES = ("QUEUED", "RUNNING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED")
TERMINAL_STATES = ("SUCCEEDED", "FAILED", "CANCELLED")


class Job(Base):
    """One job. Only `lifecycle.py` changes `state`, each time by one guarded update.

    `epoch` is the fencing token: every write on behalf of a running job must carry it.
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="state"),
        Index("ix_job_state_next_run_at", "state", "next_run_at"),
        Index("ix_job_tenant_id_created_at", "tenant_id", "created_at"),
        Index("uq_job_tenant_id_idempotency_key", "tenant_id", "idempotency_key", unique=True),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(20))
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    spec_sha256: Mapped[str] = mapped_column(String(80))
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    dataset_version_id: Mapped[str] = mapped_column(ForeignKey(DatasetVersion.id), index=True)
    base_model_version_id: Mapped[str | None] = mapped_column(String(40))
    parent_id: Mapped[str | None] = mapped_column(String(40))

    state: Mapped[str] = mapped_column(String(12), default="QUEUED")
    reason: Mapped[str | None] = mapped_column(String(40))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    phase: Mapped[str | None] = mapped_column(String(20))
    progress: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    attempt: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer, default=3)
    crash_count: Mapped[int] = mapped_column(Integer, default=0)
    epoch: Mapped[int] = mapped_column(BigInteger, default=0)
    owner: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[float] = mapped_column(Double, default=0.0)
    next_run_at: Mapped[float] = mapped_column(Double, default=0.0)
    step: Mapped[int] = mapped_column(BigInteger, default=0)
    progress_at: Mapped[float | None] = mapped_column(Double)
    cancel_requested_at: Mapped[float | None] = mapped_column(Double)
    pause_requested_at: Mapped[float | None] = mapped_column(Double)
    last_published_at: Mapped[float | None] = mapped_column(Double)
    next_event_seq: Mapped[int] = mapped_column(BigInteger, default=1)

    created_at: Mapped[float] = mapped_column(Double, server_default=db_now())
    started_at: Mapped[float | None] = mapped_column(Double)
    finished_at: Mapped[float | None] = mapped_column(Double)
    swept_at: Mapped[float | None] = mapped_column(Double)


class JobEvent(Base):
    """What happened to a job, append-only; `seq` is the id of its server-sent event.

    `type` is state, metric, picture, checkpoint or note. A state event is written in the
    transaction that changes the state and holds from, to, actor and reason.
    """

    __tablename__ = "job_event"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    type: Mapped[str] = mapped_column(String(12), index=True)
    at: Mapped[float] = mapped_column(Double, server_default=db_now())
    epoch: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int] = mapped_column(Integer)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class JobArtifact(Base):
    """A file or folder a job left in storage, under its epoch's own prefix.

    `kind` is checkpoint, model, picture, evaluation or log.
    """

    __tablename__ = "job_artifact"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), index=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(20))
    step: Mapped[int] = mapped_column(BigInteger, default=0)
    name: Mapped[str] = mapped_column(String(200))
    key: Mapped[str] = mapped_column(String(300))
    sha256: Mapped[str] = mapped_column(String(80))
    num_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[float] = mapped_column(Double, server_default=db_now())
