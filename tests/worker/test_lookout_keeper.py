"""The keeper starts what died again, and ends it in order."""

import sys
import time
from pathlib import Path

import psutil
import pytest

from service.processes import Command
from worker.lookout_keeper import LookoutKeeper

SCRIPT = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
(folder / str(os.getpid())).touch()
time.sleep(600)
"""


@pytest.fixture
def keeper(tmp_path: Path) -> LookoutKeeper:
    arguments = (sys.executable, "-c", SCRIPT, str(tmp_path))
    return LookoutKeeper(Command("look-out", arguments, environment={}), grace_seconds=20)


def wait_for_starts(folder: Path, count: int) -> set[int]:
    deadline = time.monotonic() + 60
    while len(started := {int(path.name) for path in folder.iterdir()}) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return started


def test_dead_look_out_is_started_again(keeper: LookoutKeeper, tmp_path: Path) -> None:
    keeper.start()
    (first,) = wait_for_starts(tmp_path, 1)

    psutil.Process(first).kill()

    assert len(wait_for_starts(tmp_path, 2)) == 2
    keeper.stop()


def test_stop_ends_the_look_out(keeper: LookoutKeeper, tmp_path: Path) -> None:
    keeper.start()
    (pid,) = wait_for_starts(tmp_path, 1)

    keeper.begin_stop()
    keeper.stop()

    assert not psutil.pid_exists(pid)
