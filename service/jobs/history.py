"""What a job did: its events in order, and its metrics as series."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.errors import NotFound
from service.eventstream import Batch, Entry
from service.jobs.schemas import MetricSeries, Series
from service.jobs.tables import TERMINAL_STATES, Job, JobEvent

EVENTS_A_BATCH = 500


class _Point(NamedTuple):
    step: int
    epoch: int
    attempt: int
    value: float


def find_job(session: Session, tenant_id: str, job_id: str) -> Job:
    """Return a job.

    Raises:
        NotFound: there is none.
    """
    job = session.scalar(select(Job).where(Job.id == job_id, Job.tenant_id == tenant_id))
    if job is None:
        raise NotFound(f"there is no job {job_id}")
    return job


def events_after(session: Session, job_id: str, after: int) -> Batch:
    """Return the events after a sequence number, and the end once the job has ended."""
    # the state is read first: an event that comes in between belongs to a job that goes on
    state = session.scalar(select(Job.state).where(Job.id == job_id))
    rows = session.scalars(
        select(JobEvent)
        .where(JobEvent.job_id == job_id, JobEvent.seq > after)
        .order_by(JobEvent.seq)
        .limit(EVENTS_A_BATCH)
    )
    entries = [Entry(row.seq, row.type, _stamped(row)) for row in rows]
    ended = state is None or state in TERMINAL_STATES
    return Batch(entries, {"state": state} if ended else None)


def metric_series(
    session: Session, job_id: str, *, names: Sequence[str], since_step: int, max_points: int
) -> MetricSeries:
    """Return metrics over steps, each thinned to at most `max_points`, its last point kept.

    Where an attempt repeats steps of a former one, which was broken off after its last checkpoint,
    the later attempt's points count. No names mean all metrics.
    """
    rows = session.scalars(
        select(JobEvent)
        .where(JobEvent.job_id == job_id, JobEvent.type == "metric")
        .order_by(JobEvent.seq)
    )
    series: dict[str, list[_Point]] = {}
    for event in rows:
        for name, value in event.data["values"].items():
            if value is None or (names and name not in names):
                continue
            points = series.setdefault(name, [])
            point = _Point(event.data["step"], event.data["epoch"], event.attempt, value)
            while points and points[-1].attempt < point.attempt and points[-1].step >= point.step:
                points.pop()
            points.append(point)
    return MetricSeries(
        series={
            name: _series(
                _thinned([point for point in points if point.step > since_step], max_points)
            )
            for name, points in series.items()
        }
    )


def _stamped(event: JobEvent) -> dict[str, Any]:
    return {**event.data, "at": event.at, "attempt": event.attempt, "fence": event.epoch}


def _thinned(points: Sequence[_Point], max_points: int) -> Sequence[_Point]:
    stride = -(-len(points) // max_points)
    return points if stride <= 1 else points[::-1][::stride][::-1]


def _series(points: Sequence[_Point]) -> Series:
    return Series(
        steps=[point.step for point in points],
        epochs=[point.epoch for point in points],
        attempts=[point.attempt for point in points],
        values=[point.value for point in points],
    )
