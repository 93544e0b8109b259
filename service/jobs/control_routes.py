"""Routes that steer a job: cancel, pause, resume, retry, extend."""

from typing import Annotated

from fastapi import APIRouter, Response, status

from service.auth.dependencies import Principal, require
from service.dependencies import ResourcesDep
from service.errors import Conflict
from service.jobs import lifecycle, pausing, successors
from service.jobs.routes import IdempotencyKey, JobPath, accepted
from service.jobs.schemas import ExtensionRequest, JobView
from service.problems import PROBLEM_RESPONSES, problem_responses

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEM_RESPONSES)

Stopper = Annotated[Principal, require("jobs:cancel")]
Submitter = Annotated[Principal, require("jobs:submit")]


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(Conflict),
)
def cancel_job(
    job_id: JobPath,
    resources: ResourcesDep,
    principal: Stopper,
) -> JobView:
    """Cancel: a waiting job ends at once, a running one after a last checkpoint."""
    with resources.database.write() as session:
        return JobView.of(lifecycle.cancel(session, principal.tenant_id, job_id))


@router.post(
    "/{job_id}/pause",
    summary="Pause a job",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(Conflict),
)
def pause_job(
    job_id: JobPath,
    resources: ResourcesDep,
    principal: Stopper,
) -> JobView:
    """Pause: a waiting job at once, a running one after a checkpoint; no worker takes it."""
    with resources.database.write() as session:
        return JobView.of(pausing.pause(session, principal.tenant_id, job_id))


@router.post(
    "/{job_id}/resume",
    summary="Resume a paused job",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(Conflict),
)
def resume_job(
    job_id: JobPath,
    resources: ResourcesDep,
    principal: Stopper,
    response: Response,
) -> JobView:
    """Let a paused job go on from its checkpoint."""
    with resources.database.write() as session:
        job = pausing.resume(session, principal.tenant_id, job_id)
    return accepted(resources, job, response)


@router.post(
    "/{job_id}/retry",
    summary="Submit an ended job again",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(Conflict),
)
def retry_job(
    job_id: JobPath,
    resources: ResourcesDep,
    principal: Submitter,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Queue a new job that asks for the same; the failed or cancelled one stays as it is."""
    with resources.database.write() as session:
        job, is_replayed = successors.retry_as_new(
            session, principal.tenant_id, job_id, idempotency_key=idempotency_key
        )
    return accepted(resources, job, response, is_replayed=is_replayed)


@router.post(
    "/{job_id}/extend",
    summary="Train longer than a finished job did",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(Conflict),
)
def extend_job(
    job_id: JobPath,
    request: ExtensionRequest,
    resources: ResourcesDep,
    principal: Submitter,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Queue a new job that continues from the last checkpoint of a training that succeeded."""
    with resources.database.write() as session:
        job, is_replayed = successors.extend(
            session,
            principal.tenant_id,
            job_id,
            epochs=request.epochs,
            idempotency_key=idempotency_key,
        )
    return accepted(resources, job, response, is_replayed=is_replayed)
