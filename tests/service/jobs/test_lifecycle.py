"""The state machine, transition by transition, on both databases."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from service.database import db_now
from service.errors import Conflict, NotFound, Unprocessable
from service.jobs import lifecycle
from service.jobs.recording import NewArtifact, NewEvent, record
from service.jobs.tables import Job, JobEvent
from service.jobs.transition import Fence
from service.resources import Resources

ERROR = {"code": "test.error", "message": "made by a test"}
Submit = Callable[..., Job]


def claim(resources: Resources, job_id: str | None = None, owner: str = "w1") -> Fence | None:
    with resources.database.write() as session:
        job = lifecycle.claim(session, owner=owner, lease_seconds=60, job_id=job_id)
    return Fence(job.id, job.epoch) if job else None


def claimed(resources: Resources, job_id: str | None = None) -> Fence:
    fence = claim(resources, job_id)
    assert fence is not None
    return fence


def move(resources: Resources, transition: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with resources.database.write() as session:
        return transition(session, *args, **kwargs)


def job_row(resources: Resources, job_id: str) -> Job:
    with resources.database.read() as session:
        return session.get_one(Job, job_id)


def change(resources: Resources, job_id: str, **values: Any) -> None:
    with resources.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def states(resources: Resources, job_id: str) -> list[str]:
    with resources.database.read() as session:
        rows = session.scalars(
            select(JobEvent)
            .where(JobEvent.job_id == job_id, JobEvent.type == "state")
            .order_by(JobEvent.seq)
        )
        return [row.data["to"] for row in rows]


def add_artifact(resources: Resources, fence: Fence, kind: str = "model") -> bool:
    artifact = NewArtifact(kind=kind, name=kind, key="k", sha256="c" * 64, num_bytes=1)
    return bool(move(resources, record, fence, [NewEvent("note", {}, artifact)]))


def test_submitted_job_is_queued_and_its_first_event_says_so(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources)

    assert job.state == "QUEUED"
    assert states(any_resources, job.id) == ["QUEUED"]


def test_same_key_and_request_return_the_first_job(
    any_resources: Resources, submit: Submit
) -> None:
    first = submit(any_resources, idempotency_key="k1")

    second = submit(any_resources, idempotency_key="k1")

    assert second.id == first.id


def test_same_key_for_another_request_is_refused(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources, idempotency_key="k1")

    with pytest.raises(Unprocessable) as caught:
        submit(any_resources, idempotency_key="k1", spec_sha256="sha256:2")

    assert caught.value.code == "idempotency-key-reused"


def test_same_key_of_another_tenant_makes_another_job(
    any_resources: Resources, submit: Submit
) -> None:
    first = submit(any_resources, idempotency_key="k1")

    other = submit(any_resources, idempotency_key="k1", tenant_id="other")

    assert other.id != first.id


def test_claim_raises_epoch_and_attempt_and_sets_a_lease(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources)

    fence = claimed(any_resources)

    row = job_row(any_resources, job.id)
    assert (row.state, row.epoch, row.attempt, row.owner) == ("RUNNING", 1, 1, "w1")
    assert fence == Fence(job.id, 1)
    with any_resources.database.read() as session:
        left = session.scalar(select(Job.lease_until - db_now()))
    assert 50 < (left or 0) <= 60


def test_running_job_cannot_be_claimed_again(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    claimed(any_resources)

    second = claim(any_resources, job.id, owner="w2")

    assert second is None


def test_claim_without_an_id_takes_the_job_due_longest(
    any_resources: Resources, submit: Submit
) -> None:
    late, early = submit(any_resources), submit(any_resources)
    change(any_resources, early.id, next_run_at=1.0)

    fence = claimed(any_resources)

    assert fence.job_id == early.id
    assert late.id != early.id


def test_job_that_is_not_due_is_not_claimed(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    change(any_resources, job.id, next_run_at=db_now() + 60)

    assert claim(any_resources) is None
    assert claim(any_resources, job.id) is None


def test_of_eight_racing_workers_exactly_one_claims_each_job(
    any_resources: Resources, submit: Submit
) -> None:
    jobs = [submit(any_resources).id for _ in range(10)]
    claims: list[Fence] = []
    barrier = threading.Barrier(8)

    def race(owner: str) -> None:
        barrier.wait()
        for job_id in jobs:
            fence = claim(any_resources, job_id, owner)
            if fence is not None:
                claims.append(fence)

    threads = [threading.Thread(target=race, args=(f"w{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(fence.job_id for fence in claims) == sorted(jobs)


def test_heartbeat_prolongs_the_lease(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources)
    fence = claimed(any_resources)
    before = job_row(any_resources, fence.job_id).lease_until

    standing = move(any_resources, lifecycle.heartbeat, fence, lease_seconds=600)

    assert standing == "running"
    assert job_row(any_resources, fence.job_id).lease_until > before + 500


def test_heartbeat_of_a_cancelled_job_says_cancelling(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources)
    fence = claimed(any_resources)
    move(any_resources, lifecycle.cancel, "default", job.id)

    standing = move(any_resources, lifecycle.heartbeat, fence, lease_seconds=60)

    assert standing == "cancelling"


def test_heartbeat_with_an_old_epoch_says_fenced(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    fence = claimed(any_resources)
    change(any_resources, job.id, epoch=2)

    standing = move(any_resources, lifecycle.heartbeat, fence, lease_seconds=60)

    assert standing == "fenced"


def test_success_needs_an_artifact_of_the_same_epoch(
    any_resources: Resources, submit: Submit
) -> None:
    submit(any_resources)
    fence = claimed(any_resources)

    without = move(any_resources, lifecycle.succeed, fence, artifact_kind="model")
    add_artifact(any_resources, fence)
    job = move(any_resources, lifecycle.succeed, fence, artifact_kind="model")

    assert without is None
    assert job.state == "SUCCEEDED"


def test_success_with_an_old_epoch_is_refused(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    fence = claimed(any_resources)
    add_artifact(any_resources, fence)
    change(any_resources, job.id, epoch=2)

    assert move(any_resources, lifecycle.succeed, fence, artifact_kind="model") is None


def test_run_that_finishes_after_its_cancel_does_not_succeed(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources)
    fence = claimed(any_resources)
    add_artifact(any_resources, fence)
    move(any_resources, lifecycle.cancel, "default", job.id)

    succeeded = move(any_resources, lifecycle.succeed, fence, artifact_kind="model")
    cancelled = move(any_resources, lifecycle.confirm_cancelled, fence)

    assert succeeded is None
    assert cancelled.state == "CANCELLED"


def test_retry_waits_four_times_longer_after_each_attempt(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources)
    waits = []
    for _ in range(2):
        change(any_resources, job.id, next_run_at=0.0)
        fence = claimed(any_resources)
        move(
            any_resources,
            lifecycle.retry_later,
            fence,
            reason="disk_full",
            error=ERROR,
            base_seconds=100.0,
        )
        with any_resources.database.read() as session:
            waits.append(session.scalar(select(Job.next_run_at - db_now())) or 0.0)

    assert 70 < waits[0] < 130
    assert 290 < waits[1] < 510


def test_retry_is_refused_when_no_attempt_is_left(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources, max_attempts=1)
    fence = claimed(any_resources)

    retried = move(
        any_resources,
        lifecycle.retry_later,
        fence,
        reason="infrastructure",
        error=ERROR,
        base_seconds=0.0,
    )
    failed = move(any_resources, lifecycle.fail, fence, reason="diverged", error=ERROR)

    assert retried is None
    assert (failed.state, failed.error) == ("FAILED", ERROR)


def test_preempted_attempt_does_not_count(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources, max_attempts=1)
    fence = claimed(any_resources)

    job = move(any_resources, lifecycle.preempt, fence)

    assert (job.state, job.reason, job.attempt) == ("QUEUED", "preempted", 0)
    assert claim(any_resources) is not None


def test_queued_job_is_cancelled_at_once(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)

    cancelled = move(any_resources, lifecycle.cancel, "default", job.id)

    assert cancelled.state == "CANCELLED"
    assert claim(any_resources) is None


def test_second_cancel_of_a_running_job_changes_nothing(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources)
    claimed(any_resources)
    move(any_resources, lifecycle.cancel, "default", job.id)

    again = move(any_resources, lifecycle.cancel, "default", job.id)

    assert again.state == "CANCELLING"
    assert states(any_resources, job.id) == ["QUEUED", "RUNNING", "CANCELLING"]


def test_ended_job_cannot_be_cancelled(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    move(any_resources, lifecycle.cancel, "default", job.id)

    with pytest.raises(Conflict, match="is CANCELLED"):
        move(any_resources, lifecycle.cancel, "default", job.id)


def test_job_of_another_tenant_is_not_found(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)

    with pytest.raises(NotFound):
        move(any_resources, lifecycle.cancel, "other", job.id)


def test_events_are_numbered_without_gaps(any_resources: Resources, submit: Submit) -> None:
    submit(any_resources)
    fence = claimed(any_resources)
    add_artifact(any_resources, fence)
    move(any_resources, lifecycle.succeed, fence, artifact_kind="model")

    with any_resources.database.read() as session:
        numbers = list(session.scalars(select(JobEvent.seq).order_by(JobEvent.seq)))

    assert numbers == [1, 2, 3, 4]
