"""A training that stands still, and where."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from service.jobs.recording import record
from service.jobs.tables import Job, JobArtifact, JobEvent
from service.jobs.transition import Fence
from service.resources import Resources
from worker.stall import StallGuard, StallWatch
from worker.workspace import Workspace, open_workspace

CHILD = """
import sys, time
from pathlib import Path
from worker.stall import answer_with_stacks

def stand_still():
    time.sleep(60)

answer_with_stacks(Path(sys.argv[1]))
stand_still()
"""


def test_step_that_stands_still_for_long_enough_is_told_once() -> None:
    watch = StallWatch(least_seconds=600)
    watch.see(1, 1)
    watch.see(2, 2)

    told = [watch.see(2, now) for now in (100, 602, 603, 900)]

    assert told == [False, False, True, False]


def test_slow_steps_have_twenty_of_their_own_lengths() -> None:
    watch = StallWatch(least_seconds=600)
    for step in range(5):
        watch.see(step, 100.0 * step)

    assert watch.limit_seconds == 2000
    assert not watch.see(4, 2399)
    assert watch.see(4, 2401)


def test_next_step_ends_a_stall_and_does_not_count_as_typical() -> None:
    watch = StallWatch(least_seconds=600)
    for step, now in ((1, 1), (2, 2), (2, 700), (3, 701)):
        watch.see(step, now)

    assert not watch.is_stalled
    assert watch.limit_seconds == 600
    assert watch.see(3, 1400)


def test_jumping_back_to_a_checkpoint_is_no_step() -> None:
    watch = StallWatch(least_seconds=1)
    for step, now in ((10, 1), (11, 2), (4, 3), (5, 4)):
        watch.see(step, now)

    assert watch.limit_seconds == 20


@pytest.mark.parametrize("phase", ["training", "loading"])
def test_stalled_training_leaves_its_stacks_and_one_that_loads_does_not(
    worker_resources: Resources,
    submit: Callable[..., Job],
    claim: Callable[[], Fence],
    monkeypatch: pytest.MonkeyPatch,
    phase: str,
) -> None:
    submit()
    fence = claim()
    monkeypatch.setattr("worker.stall._DUMP_SECONDS", 0.3)
    settings = worker_resources.settings.model_copy(update={"stall_seconds": 0.2})
    watched = replace(worker_resources, settings=settings)
    with worker_resources.database.write() as session:
        record(session, fence, [], phase=phase)

    with open_workspace(settings, fence) as workspace, child(workspace) as process:
        guard = StallGuard(watched, fence, process.pid)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            guard.look()
            time.sleep(0.05)
        process.kill()

    with worker_resources.database.read() as session:
        logs = list(session.scalars(select(JobArtifact).where(JobArtifact.kind == "log")))
        notes = list(session.scalars(select(JobEvent).where(JobEvent.type == "note")))
        row = session.get_one(Job, fence.job_id)
    if phase == "loading":
        assert (logs, notes, row.phase) == ([], [], "loading")
        return
    assert row.phase == "stalled"
    assert "no step after step 0" in notes[0].data["message"]
    assert b"stand_still" in worker_resources.storage.get_bytes(logs[0].key)


def child(workspace: Workspace) -> subprocess.Popen[bytes]:
    """Start a process that stands still; return once it can answer."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(workspace.stacks)])
    deadline = time.monotonic() + 30
    while not workspace.stacks.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process
