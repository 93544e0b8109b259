"""A run's events in the database: thinned, fenced, kept while the storage is away."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from amlp.events import CheckpointWritten, EpochDone, Note, Started, Step
from service.jobs.expiry import expire_lost
from service.jobs.tables import Job, JobArtifact, JobEvent
from service.jobs.transition import Fence
from service.resources import Resources
from service.storage import Storage
from worker.reporter import Reporter

STARTED = Started(
    total_steps=100, total_epochs=2, num_images=8, num_parameters=1000, device="cpu", first_step=0
)


@pytest.fixture
def fence(submit: Callable[..., Job], claim: Callable[[], Fence]) -> Fence:
    submit()
    return claim()


def events(resources: Resources, kind: str) -> list[JobEvent]:
    with resources.database.read() as session:
        statement = select(JobEvent).where(JobEvent.type == kind).order_by(JobEvent.seq)
        return list(session.scalars(statement))


def step(number: int) -> Step:
    return Step(number, 100, 0, 2, {"loss/total": 1.0 / number, "grad": float("nan")}, 10.0)


def test_steps_become_metrics_and_progress(
    worker_resources: Resources, fence: Fence, read_job: Callable[[str], Job]
) -> None:
    reporter = Reporter(worker_resources, fence, threading.Event())
    reporter.on_event(STARTED)
    reporter.on_event(step(50))

    closed = reporter.close()

    [metric] = events(worker_resources, "metric")
    job = read_job(fence.job_id)
    assert closed
    assert metric.data["values"] == {"loss/total": 0.02, "images_per_second": 10.0}
    assert (job.progress["fraction"], job.phase, job.step) == (0.5, "training", 50)


def test_steps_in_quick_succession_are_thinned_but_not_the_last(
    worker_resources: Resources, fence: Fence
) -> None:
    reporter = Reporter(worker_resources, fence, threading.Event())
    for number in (1, 2, 3, 100):
        reporter.on_event(step(number))

    reporter.close()

    assert [one.data["step"] for one in events(worker_resources, "metric")] == [1, 100]


def test_epochs_are_never_thinned(worker_resources: Resources, fence: Fence) -> None:
    reporter = Reporter(worker_resources, fence, threading.Event())
    for epoch in range(3):
        reporter.on_event(EpochDone(epoch, epoch, {"loss/total": 0.5}))

    reporter.close()

    assert len(events(worker_resources, "metric")) == 3


def test_fenced_attempt_is_told_to_stop_and_writes_nothing(
    worker_resources: Resources, fence: Fence
) -> None:
    reporter = Reporter(worker_resources, fence, threading.Event())
    with worker_resources.database.write() as session:
        session.execute(update(Job).values(lease_until=1.0))
        expire_lost(session)
    reporter.on_event(Note("too late"))

    deadline = time.monotonic() + 20
    while not reporter.should_stop() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert reporter.should_stop()
    assert not reporter.close()
    assert events(worker_resources, "note") == []


def test_checkpoint_is_stored_below_the_attempts_own_prefix(
    worker_resources: Resources, fence: Fence, tmp_path: Path
) -> None:
    reporter = Reporter(worker_resources, fence, threading.Event())
    reporter.on_event(CheckpointWritten(5, 0, checkpoint_folder(tmp_path), "c" * 64, {}))

    reporter.close()

    with worker_resources.database.read() as session:
        artifact = session.scalars(select(JobArtifact)).one()
    prefix = f"jobs/{fence.job_id}/e1/checkpoints/step-00000005"
    assert artifact.key == prefix
    assert worker_resources.storage.keys(prefix) == [
        f"{prefix}/checkpoint.json",
        f"{prefix}/weights.safetensors",
    ]


def test_event_waits_while_the_storage_is_away(
    worker_resources: Resources, fence: Fence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file = Storage.put_file
    monkeypatch.setattr(Storage, "put_file", unreachable)
    reporter = Reporter(worker_resources, fence, threading.Event())
    reporter.on_event(CheckpointWritten(5, 0, checkpoint_folder(tmp_path), "c" * 64, {}))
    time.sleep(1.0)
    during = events(worker_resources, "checkpoint")
    monkeypatch.setattr(Storage, "put_file", put_file)

    closed = reporter.close()

    assert during == []
    assert closed
    assert len(events(worker_resources, "checkpoint")) == 1


def test_run_ends_with_the_trouble_that_kept_its_events_from_being_written(
    worker_resources: Resources, fence: Fence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Storage, "put_file", unreachable)
    monkeypatch.setattr("worker.reporter.CLOSE_SECONDS", 1.0)
    reporter = Reporter(worker_resources, fence, threading.Event())
    reporter.on_event(CheckpointWritten(5, 0, checkpoint_folder(tmp_path), "c" * 64, {}))

    closed = reporter.close()

    trouble = reporter.trouble
    monkeypatch.undo()
    reporter.close()
    assert (closed, reporter.is_fenced) == (False, False)
    assert isinstance(trouble, ConnectionError)


def test_slow_upload_is_waited_for(
    worker_resources: Resources, fence: Fence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file = Storage.put_file

    def put_slowly(storage: Storage, key: str, path: Path) -> None:
        time.sleep(0.5)
        put_file(storage, key, path)

    monkeypatch.setattr(Storage, "put_file", put_slowly)
    monkeypatch.setattr("worker.reporter.CLOSE_SECONDS", 0.1)
    reporter = Reporter(worker_resources, fence, threading.Event())
    reporter.on_event(CheckpointWritten(5, 0, checkpoint_folder(tmp_path), "c" * 64, {}))

    assert reporter.close()
    assert len(events(worker_resources, "checkpoint")) == 1


def unreachable(*_: object) -> None:
    raise ConnectionError("storage is away")


def checkpoint_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "step-00000005"
    folder.mkdir()
    (folder / "checkpoint.json").write_text("{}")
    (folder / "weights.safetensors").write_bytes(b"weights")
    return folder
