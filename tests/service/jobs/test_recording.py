"""What a running job reports, and which checkpoints are kept."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from service.jobs import lifecycle
from service.jobs.recording import (
    NewArtifact,
    NewEvent,
    checkpoints,
    forget_old_checkpoints,
    record,
)
from service.jobs.tables import Job, JobArtifact, JobEvent
from service.jobs.transition import Fence
from service.resources import Resources

Submit = Callable[..., Job]


@pytest.fixture
def fence(any_resources: Resources, submit: Submit) -> Fence:
    submit(any_resources)
    with any_resources.database.write() as session:
        job = lifecycle.claim(session, owner="w", lease_seconds=60)
    assert job is not None
    return Fence(job.id, job.epoch)


def checkpoint_event(step: int, dice: float | None = None) -> NewEvent:
    metrics = {} if dice is None else {"validation/dice": dice}
    artifact = NewArtifact(
        kind="checkpoint",
        name=f"step-{step:08d}",
        key=f"k/{step}",
        sha256="c" * 64,
        num_bytes=1,
        step=step,
        metrics=metrics,
    )
    return NewEvent("checkpoint", {"step": step}, artifact)


def test_progress_and_phase_are_noted_on_the_row(any_resources: Resources, fence: Fence) -> None:
    with any_resources.database.write() as session:
        record(session, fence, [], progress={"fraction": 0.5, "step": 7}, phase="training")

    with any_resources.database.read() as session:
        job = session.get_one(Job, fence.job_id)
    assert (job.progress["fraction"], job.step, job.phase) == (0.5, 7, "training")


def test_event_names_the_artifact_it_is_about(any_resources: Resources, fence: Fence) -> None:
    with any_resources.database.write() as session:
        record(session, fence, [checkpoint_event(1)])

    with any_resources.database.read() as session:
        event = session.scalars(select(JobEvent).where(JobEvent.type == "checkpoint")).one()
        artifact = session.scalars(select(JobArtifact)).one()
    assert event.data["artifact_id"] == artifact.id


def test_stale_writer_is_refused_and_leaves_nothing(any_resources: Resources, fence: Fence) -> None:
    stale = Fence(fence.job_id, fence.epoch - 1)

    with any_resources.database.write() as session:
        accepted = record(session, stale, [checkpoint_event(1)])

    with any_resources.database.read() as session:
        assert checkpoints(session, fence.job_id) == []
    assert not accepted


def test_last_checkpoint_of_a_cancelled_run_is_still_taken(
    any_resources: Resources, fence: Fence
) -> None:
    with any_resources.database.write() as session:
        lifecycle.cancel(session, "default", fence.job_id)
        accepted = record(session, fence, [checkpoint_event(1)])

    assert accepted


def test_last_checkpoint_of_an_epochs_end_outlives_those_of_stops(
    any_resources: Resources, fence: Fence
) -> None:
    with any_resources.database.write() as session:
        record(session, fence, [checkpoint_event(1, 0.5), checkpoint_event(2, 0.4)])
        record(session, fence, [checkpoint_event(step) for step in (3, 4, 5)])
        forget_old_checkpoints(session, fence.job_id)

    with any_resources.database.read() as session:
        kept = [artifact.step for artifact in checkpoints(session, fence.job_id)]
    assert kept == [5, 4, 3, 2, 1]


def test_newest_three_checkpoints_and_the_best_are_kept(
    any_resources: Resources, fence: Fence
) -> None:
    dices = [0.1, 0.9, 0.2, 0.3, 0.4, 0.5]
    with any_resources.database.write() as session:
        record(session, fence, [checkpoint_event(n + 1, dice) for n, dice in enumerate(dices)])
        forgotten = forget_old_checkpoints(session, fence.job_id)

    with any_resources.database.read() as session:
        kept = [artifact.step for artifact in checkpoints(session, fence.job_id)]
    assert kept == [6, 5, 4, 2]
    assert sorted(forgotten) == ["k/1", "k/3"]
