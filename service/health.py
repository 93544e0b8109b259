"""Probes, version and metrics of one API process."""

import shutil
import tempfile
from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

import amlp
from service.auth.dependencies import Principal, require
from service.dependencies import ResourcesDep
from service.errors import Unavailable
from service.jobs.tables import Job
from service.migrations import is_current
from service.problems import PROBLEM_RESPONSES, problem_responses
from service.resources import Resources
from service.schemas import Schema

router = APIRouter(tags=["health"])


class Liveness(Schema):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(Schema):
    """Whether requests can be served, part by part."""

    status: Literal["ready", "degraded"]
    database: Literal["up"] = "up"
    storage: Literal["up"] = "up"
    broker: Literal["up", "down"]


class Version(Schema):
    """What runs here."""

    name: Literal["amlp"] = "amlp"
    version: str


@router.get("/livez", summary="Tell that the process answers")
def livez() -> Liveness:
    """Look at nothing but the process itself: a restart would not help against anything else."""
    return Liveness()


@router.get(
    "/readyz",
    summary="Tell whether requests can be served",
    responses=problem_responses(Unavailable),
)
def readyz(resources: ResourcesDep) -> Readiness:
    """Check database, storage and broker.

    Without the broker jobs are still accepted and found by the workers later: that is degraded,
    not down.
    """
    if not _is_database_ready(resources):
        raise Unavailable("the database does not answer or its schema is not migrated")
    if not resources.storage.is_writable():
        raise Unavailable("the storage cannot be written")
    is_up = resources.queue.is_up()
    return Readiness(status="ready" if is_up else "degraded", broker="up" if is_up else "down")


@router.get("/version", summary="Name the software and its version")
def version() -> Version:
    """Return what runs here."""
    return Version(version=amlp.__version__)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={**PROBLEM_RESPONSES, 200: {"content": {"text/plain": {}}}},
)
def metrics(resources: ResourcesDep, _: Annotated[Principal, require("metrics:read")]) -> Response:
    """Return the process's counters and the current state of jobs, broker and disk."""
    registry = CollectorRegistry()
    registry.register(_CurrentState(resources))
    content = generate_latest(REGISTRY) + generate_latest(registry)
    return Response(content, media_type=CONTENT_TYPE_LATEST)


class _CurrentState(Collector):
    """Gauges that every process reads from the same place instead of keeping its own count."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("amlp_jobs", "Jobs by kind and state", labels=["kind", "state"])
        with self._resources.database.read() as session:
            counts = session.execute(
                select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)
            )
            for kind, state, count in counts:
                jobs.add_metric([kind, state], count)
        yield jobs
        yield GaugeMetricFamily(
            "amlp_broker_up", "Whether the broker answers", float(self._resources.queue.is_up())
        )
        disk = GaugeMetricFamily("amlp_disk_free_bytes", "Free disk space", labels=["mount"])
        disk.add_metric(["data"], shutil.disk_usage(self._resources.settings.data_dir).free)
        disk.add_metric(["tmp"], shutil.disk_usage(tempfile.gettempdir()).free)
        yield disk
        build = GaugeMetricFamily("amlp_build_info", "Always 1", labels=["version"])
        build.add_metric([amlp.__version__], 1)
        yield build


def _is_database_ready(resources: Resources) -> bool:
    try:
        return is_current(resources.database.engine)
    except SQLAlchemyError:
        return False
