"""The guard freezes a real process in time."""

import time
from collections.abc import Iterator

import psutil
import pytest

from service.jobs.transition import Fence
from service.settings import Settings
from worker.lease_guard import FREEZE_SHARE, LeaseGuard
from worker.training_process import TrainingProcess

LEASE_SECONDS = 0.8


@pytest.fixture
def process(worker_settings: Settings) -> Iterator[TrainingProcess]:
    """A training process, which takes seconds to find that its job does not exist."""
    started = TrainingProcess(worker_settings, Fence("job_none", 1))
    yield started
    started.kill()
    started.wait(10)


def status_after(process: TrainingProcess, guard: LeaseGuard, *, prove: bool) -> str:
    """Return the process's status once a whole lease has passed."""
    deadline = time.monotonic() + LEASE_SECONDS
    while time.monotonic() < deadline:
        if prove:
            guard.prove(time.monotonic())
        time.sleep(0.02)
    guard.close()
    return str(psutil.Process(process.pid).status())


def test_process_is_frozen_before_its_lease_has_run_out(process: TrainingProcess) -> None:
    guard = LeaseGuard(process, LEASE_SECONDS)

    status = status_after(process, guard, prove=False)

    assert FREEZE_SHARE < 1
    assert status == psutil.STATUS_STOPPED


def test_process_whose_lease_is_proven_goes_on(process: TrainingProcess) -> None:
    guard = LeaseGuard(process, LEASE_SECONDS)

    status = status_after(process, guard, prove=True)

    assert status != psutil.STATUS_STOPPED


def test_frozen_process_goes_on_when_it_is_resumed(process: TrainingProcess) -> None:
    status_after(process, LeaseGuard(process, LEASE_SECONDS), prove=False)

    process.resume()

    assert psutil.Process(process.pid).status() != psutil.STATUS_STOPPED
