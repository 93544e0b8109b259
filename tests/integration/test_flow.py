"""From an upload to a segmentation, over HTTP, with real worker processes and all defaults."""

import os
import signal
import time

import psutil
import pytest

from amlp.phantom import generate_phantoms
from service.settings import Settings
from tests.integration.caller import PRETRAIN, Caller, check_whole_flow
from tests.integration.conftest import CELERY, LOOKOUT, StartWorker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LONG = PRETRAIN | {"schedule": {"epochs": 20_000}}


def test_upload_becomes_a_segmentation_through_a_celery_worker(
    caller: Caller, quick_settings: Settings, start_worker: StartWorker, tmp_path
) -> None:
    start_worker(quick_settings, *CELERY)
    unseen = next((generate_phantoms(tmp_path / "new", 1, size=40) / "images").iterdir())

    check_whole_flow(caller, unseen.read_bytes())


def test_jobs_run_while_the_broker_is_down(
    caller: Caller, quick_settings: Settings, start_worker: StartWorker
) -> None:
    deaf = quick_settings.model_copy(update={"redis_url": "redis+socket:///nonexistent/r.sock"})
    start_worker(deaf, *LOOKOUT)

    assert caller.run()["attempt"] == 1


def test_worker_that_finds_no_broker_starts_its_look_out_and_starts_it_again(
    quick_settings: Settings, start_worker: StartWorker
) -> None:
    deaf = quick_settings.model_copy(update={"redis_url": "redis+socket:///nonexistent/r.sock"})
    worker = start_worker(deaf, *CELERY)
    first = wait_for_lookout(worker.pid, None)

    first.kill()

    assert wait_for_lookout(worker.pid, first.pid).is_running()


def test_terminated_worker_checkpoints_and_puts_its_job_back(
    caller: Caller, quick_settings: Settings, start_worker: StartWorker
) -> None:
    worker = start_worker(quick_settings, *CELERY)
    job = caller.submit(config=LONG)
    caller.wait_until(job, phase="training")

    worker.send_signal(signal.SIGTERM)

    back = caller.wait_until(job, state="QUEUED")
    assert (back["reason"], back["attempt"]) == ("preempted", 0)
    assert worker.wait(60) == 0


def test_job_of_a_killed_worker_is_finished_by_another(
    caller: Caller, quick_settings: Settings, start_worker: StartWorker
) -> None:
    first = start_worker(quick_settings, *LOOKOUT, "--worker", "first")
    job = caller.submit(config=PRETRAIN | {"schedule": {"epochs": 200}})
    caller.wait_until(job, phase="training")

    os.kill(first.pid, signal.SIGKILL)
    start_worker(quick_settings, *LOOKOUT, "--worker", "second")

    ended = caller.wait_until(job, state="SUCCEEDED")
    assert ended["attempt"] == 2


def wait_for_lookout(worker: int, former: int | None) -> psutil.Process:
    """Return the worker's look-out, another process than `former`."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process(worker).children():
            if child.pid != former and "worker.lookout" in child.cmdline():
                return child
        time.sleep(0.1)
    raise AssertionError("the worker has no look-out")
