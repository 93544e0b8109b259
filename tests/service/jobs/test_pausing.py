"""Pause and resume, on both databases."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from service.errors import Conflict, NotFound
from service.jobs import lifecycle, pausing
from service.jobs.expiry import expire_lost, expire_queued
from service.jobs.reconciler import reconcile
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.resources import Resources

Submit = Callable[..., Job]


def move(resources: Resources, transition: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with resources.database.write() as session:
        return transition(session, *args, **kwargs)


def claim(resources: Resources) -> Fence | None:
    job = move(resources, lifecycle.claim, owner="w", lease_seconds=60)
    return Fence(job.id, job.epoch) if job else None


def claimed(resources: Resources) -> Fence:
    fence = claim(resources)
    assert fence is not None
    return fence


def row(resources: Resources, job_id: str) -> Job:
    with resources.database.read() as session:
        return session.get_one(Job, job_id)


def test_paused_job_is_not_claimed_until_it_is_resumed(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources)

    paused = move(any_resources, pausing.pause, "default", job.id)
    while_paused = claim(any_resources)
    resumed = move(any_resources, pausing.resume, "default", job.id)

    assert (paused.state, paused.reason) == ("QUEUED", "paused")
    assert while_paused is None
    assert (resumed.state, resumed.reason) == ("QUEUED", "resumed")
    assert claim(any_resources) is not None


def test_owner_of_a_running_job_is_told_to_pause(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    fence = claimed(any_resources)

    asked = move(any_resources, pausing.pause, "default", job.id)

    assert asked.state == "RUNNING"
    beat = move(any_resources, lifecycle.heartbeat, fence, lease_seconds=60)
    assert (beat, move(any_resources, lifecycle.standing, fence)) == ("pausing", "pausing")


def test_held_job_waits_paused_and_the_attempt_does_not_count(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources, max_attempts=1)
    fence = claimed(any_resources)
    move(any_resources, pausing.pause, "default", job.id)

    held = move(any_resources, pausing.hold, fence)

    assert (held.state, held.reason, held.attempt, held.owner) == ("QUEUED", "paused", 0, None)
    assert claim(any_resources) is None


def test_job_that_nobody_paused_is_not_held(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources)
    fence = claimed(any_resources)

    assert move(any_resources, pausing.hold, fence) is None


def test_pause_that_is_taken_back_in_time_changes_nothing(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources)
    fence = claimed(any_resources)
    move(any_resources, pausing.pause, "default", job.id)

    move(any_resources, pausing.resume, "default", job.id)

    assert move(any_resources, lifecycle.standing, fence) == "running"
    assert move(any_resources, pausing.hold, fence) is None


def test_job_whose_worker_dies_before_it_stopped_is_paused_all_the_same(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources)
    claimed(any_resources)
    move(any_resources, pausing.pause, "default", job.id)
    move(any_resources, lambda session: session.execute(update(Job).values(lease_until=1.0)))

    move(any_resources, expire_lost)

    assert row(any_resources, job.id).reason == "worker_lost"
    assert claim(any_resources) is None


def test_second_pause_changes_nothing(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    first = move(any_resources, pausing.pause, "default", job.id)

    second = move(any_resources, pausing.pause, "default", job.id)

    assert second.pause_requested_at == first.pause_requested_at
    assert second.next_event_seq == first.next_event_seq


def test_paused_job_waits_longer_than_any_other(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    move(any_resources, pausing.pause, "default", job.id)
    move(any_resources, lambda session: session.execute(update(Job).values(next_run_at=1.0)))

    expired = move(any_resources, expire_queued, ttl_seconds=60)

    assert expired == []


def test_nobody_is_woken_for_a_paused_job(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    move(any_resources, pausing.pause, "default", job.id)
    unheard = update(Job).values(last_published_at=None)
    move(any_resources, lambda session: session.execute(unheard))

    assert reconcile(any_resources).published == 0


def test_paused_job_can_be_cancelled(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    move(any_resources, pausing.pause, "default", job.id)

    cancelled = move(any_resources, lifecycle.cancel, "default", job.id)

    assert (cancelled.state, cancelled.pause_requested_at) == ("CANCELLED", None)
    with pytest.raises(Conflict, match="is CANCELLED"):
        move(any_resources, pausing.pause, "default", job.id)


def test_job_that_is_not_paused_cannot_be_resumed(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)

    with pytest.raises(Conflict, match="not paused"):
        move(any_resources, pausing.resume, "default", job.id)


def test_job_of_another_tenant_cannot_be_paused(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)

    with pytest.raises(NotFound):
        move(any_resources, pausing.pause, "other", job.id)
