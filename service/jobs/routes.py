"""Routes of jobs: submit and watch."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response, status
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AwareDatetime
from sqlalchemy import select

from service.auth.dependencies import Principal, require
from service.dependencies import ResourcesDep
from service.errors import Conflict, NotFound
from service.eventstream import Batch, follow
from service.jobs import lifecycle
from service.jobs.history import events_after, find_job, metric_series
from service.jobs.schemas import (
    ArtifactView,
    JobKind,
    JobRequest,
    JobState,
    JobView,
    MetricSeries,
)
from service.jobs.submission import Submitter, fingerprint, resolve_request
from service.jobs.tables import Job, JobArtifact
from service.pagination import Page, PageDep, fetch_page
from service.problems import PROBLEM_RESPONSES, problem_responses
from service.resources import Resources

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEM_RESPONSES)

CONTENT_TYPES = {"picture": "image/png", "evaluation": "application/json", "log": "text/plain"}
"""Kinds of artifacts that are one file; the others are folders."""

ID_PATTERN = r"^[A-Za-z0-9_]{1,40}$"

Reader = Annotated[Principal, require("jobs:read")]
JobPath = Annotated[str, Path(pattern=ID_PATTERN, description="A job's id")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Made up by the client for each new job; a repeated request returns that job",
    ),
]


@router.post(
    "",
    summary="Submit a job",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(Conflict),
)
def submit_job(
    request: JobRequest,
    resources: ResourcesDep,
    principal: Annotated[Principal, require("jobs:submit")],
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Queue a pretraining, fine-tuning or evaluation; `Location` is where to watch it."""
    submitter = Submitter(principal.tenant_id, idempotency_key, resources.settings.max_attempts)
    with resources.database.write() as session:
        job = lifecycle.find_replayed(
            session, principal.tenant_id, idempotency_key, fingerprint(request)
        )
        is_replayed = job is not None
        if job is None:
            new = resolve_request(session, request, submitter)
            job, is_replayed = lifecycle.submit(session, new)
    return accepted(resources, job, response, is_replayed=is_replayed)


@router.get("", summary="List jobs")
def list_jobs(
    resources: ResourcesDep,
    principal: Reader,
    page: PageDep,
    state: Annotated[JobState | None, Query(description="Only jobs in this state")] = None,
    kind: Annotated[JobKind | None, Query(description="Only jobs of this kind")] = None,
    created_after: Annotated[
        AwareDatetime | None, Query(description="Only jobs created later")
    ] = None,
) -> Page[JobView]:
    """Return jobs, newest first."""
    statement = select(Job).where(Job.tenant_id == principal.tenant_id)
    if state is not None:
        statement = statement.where(Job.state == state)
    if kind is not None:
        statement = statement.where(Job.kind == kind)
    if created_after is not None:
        statement = statement.where(Job.created_at > created_after.timestamp())
    with resources.database.read() as session:
        rows, cursor = fetch_page(session, statement, Job.id, page)
    return Page[JobView](items=[JobView.of(row) for row in rows], next_cursor=cursor)


@router.get("/{job_id}", summary="Read a job")
def read_job(job_id: JobPath, resources: ResourcesDep, principal: Reader) -> JobView:
    """Return the job as it stands."""
    with resources.database.read() as session:
        return JobView.of(find_job(session, principal.tenant_id, job_id))


@router.get("/{job_id}/metrics", summary="Read a job's metrics")
def read_metrics(
    job_id: JobPath,
    resources: ResourcesDep,
    principal: Reader,
    names: Annotated[list[str], Query(max_length=50, description="Only these metrics")] = [],  # noqa: B006  (never changed)
    since_step: Annotated[int, Query(ge=-1, lt=2**53, description="Only later steps")] = -1,
    max_points: Annotated[int, Query(ge=1, le=10_000, description="Points a metric")] = 1000,
) -> MetricSeries:
    """Return metrics over steps, thinned evenly to `max_points` each."""
    with resources.database.read() as session:
        find_job(session, principal.tenant_id, job_id)
        return metric_series(
            session, job_id, names=names, since_step=since_step, max_points=max_points
        )


@router.get("/{job_id}/artifacts", summary="List a job's artifacts")
def list_artifacts(
    job_id: JobPath,
    resources: ResourcesDep,
    principal: Reader,
    page: PageDep,
    kind: Annotated[str | None, Query(pattern=r"^[a-z]{1,20}$")] = None,
) -> Page[ArtifactView]:
    """Return checkpoints, pictures, models and reports, newest first."""
    statement = select(JobArtifact).where(JobArtifact.job_id == job_id)
    if kind is not None:
        statement = statement.where(JobArtifact.kind == kind)
    with resources.database.read() as session:
        find_job(session, principal.tenant_id, job_id)
        rows, cursor = fetch_page(session, statement, JobArtifact.id, page)
    return Page[ArtifactView](items=[_artifact_view(row) for row in rows], next_cursor=cursor)


@router.get(
    "/{job_id}/artifacts/{artifact_id}/content",
    summary="Download an artifact",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file",
            "content": {one: {"schema": {"type": "string"}} for one in CONTENT_TYPES.values()},
        }
    },
)
def download_artifact(
    job_id: JobPath,
    artifact_id: Annotated[str, Path(pattern=ID_PATTERN, description="An artifact's id")],
    resources: ResourcesDep,
    principal: Reader,
) -> StreamingResponse:
    """Stream a picture or a report; checkpoints are folders and are not served."""
    with resources.database.read() as session:
        find_job(session, principal.tenant_id, job_id)
        artifact = session.get(JobArtifact, artifact_id)
    if artifact is None or artifact.job_id != job_id or artifact.kind not in CONTENT_TYPES:
        raise NotFound(f"job {job_id} has no file {artifact_id}")
    return StreamingResponse(
        resources.storage.stream(artifact.key),
        media_type=CONTENT_TYPES[artifact.kind],
        headers={
            "Content-Length": str(artifact.num_bytes),
            "ETag": f'"sha256:{artifact.sha256}"',
            "Cache-Control": "private, immutable, max-age=31536000",
        },
    )


def _watched_job(job_id: JobPath, resources: ResourcesDep, principal: Reader) -> str:
    # a dependency: once the stream has begun it is too late for a problem document
    with resources.database.read() as session:
        return find_job(session, principal.tenant_id, job_id).id


@router.get("/{job_id}/events", summary="Watch a job's events", response_class=EventSourceResponse)
async def stream_events(
    job_id: Annotated[str, Depends(_watched_job)],
    resources: ResourcesDep,
    last_event_id: Annotated[
        int, Header(ge=0, lt=2**53, description="Id of the last event the client has")
    ] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Stream state, metric, picture, checkpoint and note events, and `done` at the job's end.

    A client that reconnects with Last-Event-ID misses nothing.
    """

    def fetch(after: int) -> Batch:
        with resources.database.read() as session:
            return events_after(session, job_id, after)

    async for event in follow(fetch, after=last_event_id):
        yield event


def accepted(
    resources: Resources, job: Job, response: Response, *, is_replayed: bool = False
) -> JobView:
    """Return the answer that a job was queued, and wake a worker for it."""
    if is_replayed:
        response.headers["Idempotency-Replayed"] = "true"
    if job.state == "QUEUED":
        resources.queue.publish(job.id)  # best effort: the row is queued whether or not it arrives
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobView.of(job)


def _artifact_view(artifact: JobArtifact) -> ArtifactView:
    content = f"/v1/jobs/{artifact.job_id}/artifacts/{artifact.id}/content"
    return ArtifactView.of(artifact, content if artifact.kind in CONTENT_TYPES else None)
