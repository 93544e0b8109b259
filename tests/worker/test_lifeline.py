"""A process that follows its parent into its end."""

import os
import signal
import subprocess
import sys
import time

import psutil

CHILD = """
import os, signal, time
from worker.lifeline import follow_parent
follow_parent(signal.SIGTERM, parent={parent})
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys
child = {child!r}.format(parent=os.getpid())
subprocess.run([sys.executable, "-c", child])
"""


def test_child_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(child=CHILD)], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    deadline = time.monotonic() + 20
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_child_whose_parent_ended_before_ends_at_once() -> None:
    orphan = CHILD.format(parent=os.getpid() + 1)

    ended = subprocess.run(
        [sys.executable, "-c", orphan], check=False, timeout=20, capture_output=True
    )

    assert ended.returncode == -signal.SIGTERM
