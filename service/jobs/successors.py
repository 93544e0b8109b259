"""New jobs from ended ones (T12 of `lifecycle.py`); the ended row never moves."""

import hashlib
from typing import Any

from sqlalchemy.orm import Session

from amlp.config import parse_run_config
from amlp.errors import ConfigError
from service.errors import Conflict, Fault, Unprocessable
from service.jobs.lifecycle import NewJob, lock_job, submit
from service.jobs.recording import checkpoints
from service.jobs.tables import Job


def retry_as_new(
    session: Session, tenant_id: str, job_id: str, *, idempotency_key: str | None = None
) -> tuple[Job, bool]:
    """T12: submit what the ended job was asked for again; True where the key did so before.

    Raises:
        NotFound: no such job.
        Conflict: the job has not ended, or has succeeded.
        Unprocessable: the key stands for another request.
    """
    job = lock_job(session, tenant_id, job_id)
    if job.state not in {"FAILED", "CANCELLED"}:
        raise Conflict(f"job {job_id} is {job.state}; expected FAILED or CANCELLED")
    return submit(session, _successor(job, job.spec, f"retry {job_id}", idempotency_key))


def extend(
    session: Session,
    tenant_id: str,
    job_id: str,
    *,
    epochs: int,
    idempotency_key: str | None = None,
) -> tuple[Job, bool]:
    """T12: train `epochs` more than a finished job did, from its last checkpoint on.

    The answer's second part is True where the idempotency key made the job before.

    The schedule is that of a run planned for all the epochs, entered where the finished one ended:
    the learning rate rises to that point of the longer cosine, and what else moves with the run's
    progress goes on from there.

    Raises:
        NotFound: no such job.
        Conflict: the job has not succeeded, trained nothing, or left no checkpoint.
        Unprocessable: more epochs than a run may have, or the key stands for another request.
    """
    job = lock_job(session, tenant_id, job_id)
    if job.state != "SUCCEEDED" or job.kind == "evaluate":
        raise Conflict(
            f"job {job_id} is {job.kind} and {job.state}; only a training that SUCCEEDED extends"
        )
    found = checkpoints(session, job_id)
    if not found:
        raise Conflict(f"job {job_id} has no checkpoint to continue from")
    spec = {
        **job.spec,
        "config": _prolonged(job.spec["config"], epochs),
        "warnings": [],
        "continues": {"key": found[0].key, "name": found[0].name},
    }
    asked = f"extend {job_id} by {epochs}"
    return submit(session, _successor(job, spec, asked, idempotency_key))


def _prolonged(config: dict[str, Any], epochs: int) -> dict[str, Any]:
    total = config["schedule"]["epochs"] + epochs
    longer = {**config, "schedule": {**config["schedule"], "epochs": total}}
    try:
        return parse_run_config(longer).model_dump(mode="json")
    except ConfigError as error:
        detail = f"{total} epochs in all are more than a run may have"
        raise Unprocessable(f"epochs: {detail}", faults=[Fault("/epochs", detail)]) from error


def _successor(job: Job, spec: dict[str, Any], asked: str, idempotency_key: str | None) -> NewJob:
    return NewJob(
        tenant_id=job.tenant_id,
        kind=job.kind,
        spec=spec,
        spec_sha256="sha256:" + hashlib.sha256(asked.encode()).hexdigest(),
        idempotency_key=idempotency_key,
        dataset_version_id=job.dataset_version_id,
        base_model_version_id=job.base_model_version_id,
        max_attempts=job.max_attempts,
        parent_id=job.id,
    )
