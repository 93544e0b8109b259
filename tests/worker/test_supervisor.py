"""Real training processes under a real supervisor, on tiny phantoms."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.database import Database
from service.jobs import lifecycle, pausing, successors
from service.jobs.expiry import expire_lost
from service.jobs.recording import checkpoints
from service.jobs.tables import Job, JobEvent
from service.models.tables import ModelVersion
from service.resources import Resources
from worker.supervisor import run_job

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SECONDS = 120.0
LONG = {"schedule": {"epochs": 5000}, "checkpoint_every": 5}
Submit = Callable[..., Job]
ReadJob = Callable[[str], Job]


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


@contextmanager
def supervised(resources: Resources, stop: threading.Event | None = None) -> Iterator[None]:
    """Run the next job in a thread; the block ends before the job does."""
    event = stop or threading.Event()
    thread = threading.Thread(
        target=run_job, args=(resources,), kwargs={"owner": "w", "stop": event}
    )
    thread.start()
    try:
        yield
    finally:
        thread.join(SECONDS)
        assert not thread.is_alive()


def training_pid() -> int | None:
    for child in psutil.Process().children(recursive=True):
        try:
            if "worker.train" in child.cmdline():
                return child.pid
        except psutil.Error:
            continue
    return None


def event_types(resources: Resources) -> set[str]:
    with resources.database.read() as session:
        return set(session.scalars(select(JobEvent.type)))


def notes(resources: Resources, job_id: str) -> list[str]:
    with resources.database.read() as session:
        rows = session.scalars(
            select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.type == "note")
        )
        return [row.data["message"] for row in rows]


def num_checkpoints(resources: Resources, job_id: str) -> int:
    with resources.database.read() as session:
        return len(checkpoints(session, job_id))


def test_pretraining_succeeds_and_registers_its_model(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    job = submit()

    ran = run_job(worker_resources, owner="w", stop=threading.Event())

    ended = read_job(job.id)
    assert ran
    assert (ended.state, ended.error) == ("SUCCEEDED", None)
    with worker_resources.database.read() as session:
        version = session.scalars(select(ModelVersion)).one()
    assert (version.name, version.number, version.kind) == ("phantoms-pretrain", 1, "pretrained")
    assert version.card["architecture"]["channels"] == 1
    assert ended.result is not None
    assert ended.result["model"]["id"] == version.id
    assert worker_resources.storage.size(f"{version.key}/weights.safetensors") > 0
    assert ended.progress["fraction"] == 1.0
    assert event_types(worker_resources) == {"state", "metric", "checkpoint", "picture", "note"}
    assert list((worker_resources.settings.data_dir / "scratch" / "jobs").iterdir()) == []


def test_killed_training_resumes_and_ends_with_the_weights_of_an_unbroken_one(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    submit(schedule={"epochs": 40}, checkpoint_every=1)
    run_job(worker_resources, owner="w", stop=threading.Event())
    broken = submit(schedule={"epochs": 40}, checkpoint_every=1)
    with supervised(worker_resources):
        wait_for(lambda: num_checkpoints(worker_resources, broken.id))
        os.kill(wait_for(training_pid), signal.SIGKILL)
    crashed = read_job(broken.id)

    run_job(worker_resources, owner="w", stop=threading.Event())

    ended = read_job(broken.id)
    with worker_resources.database.read() as session:
        digests = list(session.scalars(select(ModelVersion.sha256)))
    assert (crashed.state, crashed.reason, crashed.crash_count) == ("QUEUED", "crashed", 0)
    assert (ended.state, ended.attempt, ended.epoch) == ("SUCCEEDED", 2, 2)
    assert any("continues at step" in note for note in notes(worker_resources, broken.id))
    assert len(digests) == 2
    assert len(set(digests)) == 1


def test_cancel_ends_a_training_within_five_seconds(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    job = submit(**LONG)
    with supervised(worker_resources):
        wait_for(lambda: read_job(job.id).phase == "training")
        cancelled_at = time.monotonic()
        with worker_resources.database.write() as session:
            lifecycle.cancel(session, "default", job.id)
        wait_for(lambda: read_job(job.id).state == "CANCELLED")
        seconds = time.monotonic() - cancelled_at

    assert seconds < 5
    assert training_pid() is None
    assert num_checkpoints(worker_resources, job.id) > 0


def test_stopped_worker_puts_the_job_back_with_a_checkpoint(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    job, stop = submit(**LONG), threading.Event()
    with supervised(worker_resources, stop):
        wait_for(lambda: read_job(job.id).phase == "training")
        stop.set()

    row = read_job(job.id)
    assert (row.state, row.reason, row.attempt) == ("QUEUED", "preempted", 0)
    assert num_checkpoints(worker_resources, job.id) > 0


def test_paused_training_goes_on_after_its_resume(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    job = submit(schedule={"epochs": 60})
    with supervised(worker_resources):
        wait_for(lambda: read_job(job.id).phase == "training")
        with worker_resources.database.write() as session:
            pausing.pause(session, "default", job.id)
    paused = read_job(job.id)
    ran_while_paused = run_job(worker_resources, owner="w", stop=threading.Event())
    with worker_resources.database.write() as session:
        pausing.resume(session, "default", job.id)

    run_job(worker_resources, owner="w", stop=threading.Event())

    assert (paused.state, paused.reason, paused.attempt) == ("QUEUED", "paused", 0)
    assert not ran_while_paused
    assert read_job(job.id).state == "SUCCEEDED"
    assert any("continues at step" in note for note in notes(worker_resources, job.id))


def test_extension_goes_on_where_the_finished_job_ended(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    job = submit()
    run_job(worker_resources, owner="w", stop=threading.Event())
    with worker_resources.database.write() as session:
        longer, _ = successors.extend(session, "default", job.id, epochs=2)

    run_job(worker_resources, owner="w", stop=threading.Event())

    ended = read_job(longer.id)
    said = notes(worker_resources, longer.id)
    assert (ended.state, ended.error) == ("SUCCEEDED", None)
    assert ended.progress["step"] == 2 * read_job(job.id).progress["step"]
    assert any("ended after 2 epochs to 4" in note for note in said)
    assert any("continues at step" in note for note in said)


def test_extension_whose_checkpoint_is_gone_does_not_begin_from_zero(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    job = submit()
    run_job(worker_resources, owner="w", stop=threading.Event())
    with worker_resources.database.write() as session:
        longer, _ = successors.extend(session, "default", job.id, epochs=2)
    storage = worker_resources.storage
    storage.delete(storage.keys(longer.spec["continues"]["key"]))

    run_job(worker_resources, owner="w", stop=threading.Event())

    assert (read_job(longer.id).state, read_job(longer.id).reason) == ("FAILED", "checkpoint")


def test_owner_that_lost_its_lease_is_killed_and_writes_nothing(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    job = submit(**LONG)
    with supervised(worker_resources):
        wait_for(lambda: read_job(job.id).phase == "training")
        with worker_resources.database.write() as session:
            session.execute(update(Job).values(lease_until=1.0))
            expire_lost(session)

    row = read_job(job.id)
    assert (row.state, row.reason, row.epoch) == ("QUEUED", "worker_lost", 2)
    assert training_pid() is None


class BreakableDatabase(Database):
    """A database whose connections fail while it is down."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_down = False

    @contextmanager
    def read(self) -> Iterator[Session]:
        self._fail_if_down()
        with super().read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        self._fail_if_down()
        with super().write() as session:
            yield session

    def _fail_if_down(self) -> None:
        if self.is_down:
            raise OperationalError("connect", {}, ConnectionError())


def test_training_stands_still_while_its_lease_cannot_be_proven(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    job = submit(**LONG)
    database = BreakableDatabase(worker_resources.settings.resolved_database_url)
    stop = threading.Event()
    with supervised(replace(worker_resources, database=database), stop):
        wait_for(lambda: read_job(job.id).phase == "training")
        training = psutil.Process(wait_for(training_pid))
        database.is_down = True
        wait_for(lambda: training.status() == psutil.STATUS_STOPPED)
        database.is_down = False
        wait_for(lambda: training.status() != psutil.STATUS_STOPPED)
        stop.set()

    database.close()
    assert read_job(job.id).reason == "preempted"


def test_process_that_dies_at_every_start_is_poison(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    job = submit(max_attempts=1)
    with supervised(worker_resources):
        os.kill(wait_for(training_pid), signal.SIGKILL)

    row = read_job(job.id)
    assert (row.state, row.reason, row.crash_count) == ("FAILED", "poison", 1)
    assert row.error is not None
    assert "SIGKILL" in row.error["message"]


def test_job_that_cannot_be_started_here_waits_for_another_try(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    job = submit()
    scratch = worker_resources.settings.data_dir / "scratch"
    scratch.mkdir()
    (scratch / "jobs").write_text("in the way")

    run_job(worker_resources, owner="w", stop=threading.Event())

    row = read_job(job.id)
    assert (row.state, row.reason, row.attempt) == ("QUEUED", "infrastructure", 1)


def test_damaged_data_set_fails_the_job_for_good(
    worker_resources: Resources, submit: Submit, read_job: ReadJob, phantoms: Path
) -> None:
    job = submit()
    image = next(phantoms.rglob("*.png")).relative_to(phantoms)
    worker_resources.storage.put_bytes(f"datasets/ds_1/{image}", b"rotten")

    run_job(worker_resources, owner="w", stop=threading.Event())

    row = read_job(job.id)
    assert (row.state, row.reason) == ("FAILED", "data")
    assert row.error is not None
    assert row.error["code"] == "data.invalid"


def test_fine_tuning_and_evaluation_follow_pretraining(
    worker_resources: Resources, submit: Submit, read_job: ReadJob
) -> None:
    stop = threading.Event()
    submit()
    run_job(worker_resources, owner="w", stop=stop)
    encoder = model_named(worker_resources, "phantoms-pretrain")
    finetune = {"kind": "finetune", "image_size": 32, "patch_size": 8, "batch_size": 4}
    shared = {"schedule": {"epochs": 1}, "precision": "fp32", "head": {"name": "linear"}}

    tuned = submit(base=encoder.id, **finetune, **shared)
    run_job(worker_resources, owner="w", stop=stop)
    segmenter = model_named(worker_resources, "phantoms-finetune")
    evaluated = submit(base=segmenter.id, kind="evaluate", split="test", bootstrap_samples=100)
    run_job(worker_resources, owner="w", stop=stop)

    segmenter = model_named(worker_resources, "phantoms-finetune")
    assert [read_job(job.id).state for job in (tuned, evaluated)] == ["SUCCEEDED"] * 2
    assert segmenter.parent_id == encoder.id
    assert any(name.startswith("evaluation/sha256:") for name in segmenter.metrics)


def model_named(resources: Resources, name: str) -> ModelVersion:
    with resources.database.read() as session:
        return session.scalars(select(ModelVersion).where(ModelVersion.name == name)).one()
