"""Children: restarts, stops, and no survivors."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from service.processes import Child, Command, stop_children

SLEEP = (sys.executable, "-c", "import time; time.sleep(300)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ignoring', flush=True); time.sleep(300)",
)
SECONDS = 30.0


def start(arguments: tuple[str, ...], **environment: str) -> Child:
    return Child(Command("child", arguments, environment))


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_child_gets_the_variables_of_its_command(tmp_path: Path):
    out = tmp_path / "out"
    write = f"import os; open({str(out)!r}, 'w').write(os.environ['GREETING'])"

    child = start((sys.executable, "-c", write), GREETING="hello")

    assert wait_until(lambda: not child.is_running)
    assert out.read_text() == "hello"


def test_a_child_that_ended_starts_again_only_after_its_wait():
    child = start((sys.executable, "-c", "raise SystemExit(3)"))
    assert wait_until(lambda: not child.is_running)
    assert child.exit_code == 3

    restarted_at_once = child.restart_when_due()
    started = time.monotonic()
    restarted = wait_until(child.restart_when_due)

    assert not restarted_at_once
    assert restarted
    assert time.monotonic() - started > 0.5
    child.kill()


def test_a_willing_child_ends_on_sigterm():
    child = start(SLEEP)

    stop_children([child], grace_seconds=SECONDS)

    assert child.exit_code == -signal.SIGTERM


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace():
    child = start(STUBBORN)
    time.sleep(1)

    stop_children([child], grace_seconds=0.2)

    assert child.exit_code is not None


def test_stopping_a_child_that_ended_is_no_error():
    child = start((sys.executable, "-c", ""))
    assert wait_until(lambda: not child.is_running)

    stop_children([child], grace_seconds=0.2)

    assert child.exit_code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's death")
def test_a_child_ends_when_its_parent_is_killed():
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; from service.processes import Child, Command;"
            f"child = Child(Command('child', {SLEEP!r}, {{}}));"
            "print(child.pid, flush=True); time.sleep(300)",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))

    parent.kill()
    parent.communicate()

    gone = wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert gone
