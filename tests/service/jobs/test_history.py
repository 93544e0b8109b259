"""Events after a number, and metrics as series."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import update

from service.jobs import lifecycle
from service.jobs.history import events_after, metric_series
from service.jobs.recording import NewEvent, record
from service.jobs.schemas import Series
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.resources import Resources

Submit = Callable[..., Job]


@pytest.fixture
def fence(resources: Resources, submit: Submit) -> Fence:
    submit(resources)
    with resources.database.write() as session:
        job = lifecycle.claim(session, owner="w", lease_seconds=60)
    assert job is not None
    return Fence(job.id, job.epoch)


def add_points(resources: Resources, fence: Fence, steps: Sequence[int], value: float) -> None:
    events = [
        NewEvent("metric", {"step": step, "epoch": 0, "values": {"loss/total": value}})
        for step in steps
    ]
    with resources.database.write() as session:
        assert record(session, fence, events)


def loss(resources: Resources, fence: Fence, *, since: int = -1, points: int = 1000) -> Series:
    with resources.database.read() as session:
        found = metric_series(
            session, fence.job_id, names=["loss/total"], since_step=since, max_points=points
        )
    return found.series["loss/total"]


def test_events_after_a_number_are_exactly_the_later_ones(
    resources: Resources, fence: Fence
) -> None:
    add_points(resources, fence, range(3), 1.0)

    with resources.database.read() as session:
        batch = events_after(session, fence.job_id, 3)

    assert [entry.seq for entry in batch.entries] == [4, 5]
    assert batch.closing is None


def test_events_of_an_ended_job_close(resources: Resources, fence: Fence) -> None:
    with resources.database.write() as session:
        lifecycle.fail(session, fence, reason="diverged", error={"code": "x", "message": "y"})

    with resources.database.read() as session:
        batch = events_after(session, fence.job_id, 0)

    assert [entry.data["to"] for entry in batch.entries] == ["QUEUED", "RUNNING", "FAILED"]
    assert batch.closing == {"state": "FAILED"}


def test_series_holds_every_point_in_order(resources: Resources, fence: Fence) -> None:
    add_points(resources, fence, [1, 2, 3], 0.5)

    series = loss(resources, fence)

    assert (series.steps, series.values) == ([1, 2, 3], [0.5, 0.5, 0.5])


def test_series_is_thinned_and_keeps_its_last_point(resources: Resources, fence: Fence) -> None:
    add_points(resources, fence, range(1, 101), 0.5)

    series = loss(resources, fence, points=7)

    assert len(series.steps) <= 7
    assert series.steps[-1] == 100


def test_series_since_a_step_leaves_earlier_ones_out(resources: Resources, fence: Fence) -> None:
    add_points(resources, fence, [1, 2, 3], 0.5)

    assert loss(resources, fence, since=1).steps == [2, 3]


def test_later_attempt_replaces_the_points_it_repeats(resources: Resources, fence: Fence) -> None:
    add_points(resources, fence, [1, 2, 3], 0.5)
    with resources.database.write() as session:
        session.execute(update(Job).values(attempt=2))
    add_points(resources, fence, [2, 3, 4], 0.25)

    series = loss(resources, fence)

    assert series.steps == [1, 2, 3, 4]
    assert series.attempts == [1, 2, 2, 2]
