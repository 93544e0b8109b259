"""Rounds of the reconciler against real databases and a real broker."""

import time
from collections.abc import Callable

import pytest
from kombu import Connection
from sqlalchemy import update

from service.database import db_now
from service.jobs import lifecycle
from service.jobs.reconciler import MAX_WAITING_WAKEUPS, Reconciler, Tally, reconcile
from service.jobs.tables import Job
from service.queue import TRAIN_QUEUE, Queue
from service.resources import Resources

Submit = Callable[..., Job]


@pytest.fixture(autouse=True)
def empty_queue(redis_url: str) -> None:
    with Connection(redis_url) as connection:
        connection.default_channel.queue_purge(TRAIN_QUEUE)


def change(resources: Resources, **values: object) -> None:
    with resources.database.write() as session:
        session.execute(update(Job).values(**values))


def test_round_with_nothing_to_do_does_nothing(any_resources: Resources) -> None:
    assert reconcile(any_resources) == Tally()


def test_lost_job_is_queued_and_published_in_one_round(
    any_resources: Resources, submit: Submit
) -> None:
    submit(any_resources)
    with any_resources.database.write() as session:
        lifecycle.claim(session, owner="w", lease_seconds=60)
    change(any_resources, lease_until=1.0)

    tally = reconcile(any_resources)

    assert tally == Tally(lost=1, published=1)


def test_fresh_wake_up_is_not_repeated(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources)

    assert reconcile(any_resources).published == 0


def test_old_wake_up_is_repeated_once(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources)
    change(any_resources, last_published_at=db_now() - 60)

    assert reconcile(any_resources).published == 1
    assert reconcile(any_resources).published == 0


def test_wake_ups_are_bounded_however_many_jobs_wait(
    any_resources: Resources, submit: Submit
) -> None:
    for _ in range(10):
        submit(any_resources)
    change(any_resources, last_published_at=None)

    assert reconcile(any_resources).published == 2


def test_no_wake_up_is_repeated_while_as_many_wait_for_busy_workers(
    resources: Resources, submit: Submit
) -> None:
    submit(resources)
    change(resources, last_published_at=None)
    for number in range(MAX_WAITING_WAKEUPS):
        resources.queue.publish(f"job_{number}")

    assert reconcile(resources).published == 0


def test_job_whose_time_has_not_come_is_not_published(
    any_resources: Resources, submit: Submit
) -> None:
    submit(any_resources)
    change(any_resources, last_published_at=None, next_run_at=db_now() + 60)

    assert reconcile(any_resources).published == 0


@pytest.mark.integration
def test_dead_broker_stops_the_wake_ups_and_nothing_else(
    resources: Resources, submit: Submit
) -> None:
    submit(resources)
    with resources.database.write() as session:
        lifecycle.claim(session, owner="w", lease_seconds=60)
    change(resources, lease_until=1.0)
    deaf = Resources(
        resources.settings,
        resources.database,
        resources.storage,
        Queue("redis+socket:///nonexistent/redis.sock"),
    )

    tally = reconcile(deaf)

    deaf.queue.close()
    assert tally == Tally(lost=1, published=0)


def test_thread_reconciles_until_it_is_stopped(resources: Resources, submit: Submit) -> None:
    submit(resources)
    change(resources, last_published_at=None)
    quick = Resources(
        resources.settings.model_copy(update={"reconcile_seconds": 0.05}),
        resources.database,
        resources.storage,
        resources.queue,
    )
    reconciler = Reconciler(quick)

    reconciler.start()
    deadline = time.monotonic() + 20
    while reconcile(quick).published == 0 and _unpublished(quick) and time.monotonic() < deadline:
        time.sleep(0.05)
    reconciler.stop()

    assert not _unpublished(quick)


def _unpublished(resources: Resources) -> bool:
    with resources.database.read() as session:
        return bool(session.query(Job).filter(Job.last_published_at.is_(None)).count())
