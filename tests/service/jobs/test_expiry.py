"""What time does to jobs, on both databases."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import update

from service.database import db_now
from service.datasets.tables import Dataset
from service.jobs import lifecycle
from service.jobs.expiry import expire_lost, expire_queued, force_cancels
from service.jobs.recording import NewArtifact, NewEvent, record
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.resources import Resources

Submit = Callable[..., Job]


def run(resources: Resources, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with resources.database.write() as session:
        return step(session, *args, **kwargs)


def claim(resources: Resources) -> Fence:
    job = run(resources, lifecycle.claim, owner="w1", lease_seconds=60)
    return Fence(job.id, job.epoch)


def lose(resources: Resources) -> None:
    run(resources, lambda session: session.execute(update(Job).values(lease_until=1.0)))


def test_job_with_a_live_lease_is_left_alone(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources)
    claim(any_resources)

    assert run(any_resources, expire_lost) == []


def test_lost_job_is_queued_again_and_its_owner_fenced_off(
    any_resources: Resources, submit: Submit
) -> None:
    submit(any_resources)
    fence = claim(any_resources)
    lose(any_resources)

    [job] = run(any_resources, expire_lost)

    assert (job.state, job.reason, job.epoch) == ("QUEUED", "worker_lost", fence.epoch + 1)
    assert run(any_resources, lifecycle.heartbeat, fence, lease_seconds=60) == "fenced"
    assert run(any_resources, record, fence, [NewEvent("note", {})]) is False


def test_expiring_twice_does_nothing_more(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources)
    claim(any_resources)
    lose(any_resources)
    run(any_resources, expire_lost)

    assert run(any_resources, expire_lost) == []


def test_job_that_takes_every_worker_down_is_poison(
    any_resources: Resources, submit: Submit
) -> None:
    submit(any_resources, max_attempts=2)
    for _ in range(2):
        claim(any_resources)
        lose(any_resources)
        [job] = run(any_resources, expire_lost)

    assert (job.state, job.reason, job.crash_count) == ("FAILED", "poison", 2)


def test_job_that_made_checkpoints_is_lost_but_no_poison(
    any_resources: Resources, submit: Submit
) -> None:
    submit(any_resources, max_attempts=1)
    fence = claim(any_resources)
    checkpoint = NewArtifact(
        kind="checkpoint", name="step-00000001", key="k", sha256="c" * 64, num_bytes=1
    )
    run(any_resources, record, fence, [NewEvent("checkpoint", {}, checkpoint)])
    lose(any_resources)

    [job] = run(any_resources, expire_lost)

    assert (job.state, job.reason, job.crash_count) == ("FAILED", "worker_lost", 0)


def test_cancel_of_a_lost_worker_is_forced(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    claim(any_resources)
    run(any_resources, lifecycle.cancel, "default", job.id)
    lose(any_resources)

    [ended] = run(any_resources, force_cancels, timeout_seconds=120)

    assert ended.state == "CANCELLED"


def test_cancel_that_takes_too_long_is_forced(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    fence = claim(any_resources)
    run(any_resources, lifecycle.cancel, "default", job.id)

    early = run(any_resources, force_cancels, timeout_seconds=120)
    late = run(any_resources, force_cancels, timeout_seconds=-1)

    assert early == []
    assert [ended.state for ended in late] == ["CANCELLED"]
    assert run(any_resources, lifecycle.confirm_cancelled, fence) is None


def test_job_that_waits_too_long_fails_as_expired(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources)
    run(any_resources, lambda session: session.execute(update(Job).values(next_run_at=1.0)))

    [job] = run(any_resources, expire_queued, ttl_seconds=60)

    assert (job.state, job.reason) == ("FAILED", "expired")


def test_waiting_job_fails_when_its_data_set_is_deleted(
    any_resources: Resources, submit: Submit
) -> None:
    submit(any_resources)
    run(any_resources, lambda session: session.execute(update(Dataset).values(deleted_at=db_now())))

    [job] = run(any_resources, expire_queued, ttl_seconds=60)

    assert (job.state, job.reason) == ("FAILED", "dataset_deleted")
