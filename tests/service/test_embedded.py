"""The whole service as a user starts it: one command, real processes."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
STOP_SECONDS = 60.0

SIGNS = {"redis": "redis-server", "api": "service api", "worker": "service worker|celery"}

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Launch:
    """A running `python -m service up`."""

    def __init__(self, data_dir: Path, port: int = 0, **environment: str) -> None:
        inherited = {name: os.environ[name] for name in os.environ if not name.startswith("AMLP_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "up", "--port", str(port), "--data-dir", data_dir],
            cwd=ROOT,
            env={**inherited, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.data_dir = data_dir
        self.port = port
        self.lines: list[str] = []

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read output until a line matches."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern} never came:\n{''.join(self.lines)}")

    @property
    def children(self) -> dict[str, psutil.Process]:
        """The running children by what they are."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            command = " ".join(child.cmdline())
            for name, sign in SIGNS.items():
                if re.search(sign, command):
                    found[name] = child
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        self.process.communicate(timeout=STOP_SECONDS)
        return self.process.returncode


@contextmanager
def launched(data_dir: Path, **more: object) -> Iterator[Launch]:
    launch = Launch(data_dir, **more)  # type: ignore[arg-type]  # forwarded as given
    try:
        yield launch
    finally:
        if launch.process.poll() is None:
            launch.stop()
        assert launch.process.stdout is not None
        launch.process.stdout.close()


def wait_until(condition: object, seconds: float = STOP_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Launch]:
    """One launch, with a Redis of the user's own, for tests that leave it running."""
    with launched(tmp_path_factory.mktemp("running"), AMLP_REDIS_URL=redis_url) as launch:
        launch.port = int(launch.wait_for(r"ready http://127\.0\.0\.1:(\d+)").group(1))
        yield launch


def test_one_command_serves_an_authenticated_api_and_stops_with_its_children(tmp_path: Path):
    data_dir = tmp_path / "data"

    with launched(data_dir) as launch:
        secret = launch.wait_for(r"API key .*: (amlp_\S+)").group(1)
        url = launch.wait_for(r"ready (http://127\.0\.0\.1:\d+)").group(1)
        authorised = httpx.get(f"{url}/v1/datasets", headers={"Authorization": f"Bearer {secret}"})
        anonymous = httpx.get(f"{url}/v1/datasets")
        ready = httpx.get(f"{url}/readyz")
        children = launch.children
        code = launch.stop()

    assert (authorised.status_code, anonymous.status_code) == (200, 401)
    assert ready.json()["broker"] == "up"
    assert children.keys() == SIGNS.keys()
    assert code == 0
    assert not any(child.is_running() for child in children.values())
    assert (data_dir / "admin.key").read_text().strip() == secret
    for path in (data_dir, data_dir / "admin.key", data_dir / "amlp.db", data_dir / "run"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_second_start_after_a_crash_works_and_shows_no_key(tmp_path: Path):
    data_dir = tmp_path / ("too long for the name of a socket " * 4)  # and spaces in a URL

    with launched(data_dir) as first:
        first.wait_for("ready http")
        orphans = first.children
        first.process.kill()
        first.process.wait()
        all_ended = wait_until(lambda: not any(one.is_running() for one in orphans.values()))
    with launched(data_dir) as second:
        url = second.wait_for(r"ready (http://\S+)").group(1)
        ready = httpx.get(f"{url}/readyz")
        code = second.stop(signal.SIGINT)

    assert all_ended
    assert ready.json()["broker"] == "up"
    assert code == 0
    assert not any("API key" in line for line in second.lines)


def test_a_folder_in_use_is_refused_by_name(running: Launch):
    with launched(running.data_dir) as second:
        refusal = second.wait_for("error: .*")
        code = second.process.wait(STOP_SECONDS)

    assert code == 1
    assert str(running.process.pid) in refusal.group()
    assert str(running.data_dir) in refusal.group()


def test_a_taken_port_is_told_before_anything_starts(running: Launch, tmp_path: Path):
    with launched(tmp_path, port=running.port) as second:
        refusal = second.wait_for("error: .*")

    assert str(running.port) in refusal.group()
    assert not (tmp_path / "amlp.db").exists()


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()

    with launched(tmp_path / "file") as launch:
        refusal = launch.wait_for("error: .*")

    assert "cannot use data folder" in refusal.group()


def test_with_a_redis_of_ones_own_none_is_started(running: Launch):
    assert set(running.children) == {"api", "worker"}


def test_a_killed_worker_comes_back(running: Launch):
    before = running.children["worker"].pid

    running.children["worker"].kill()
    running.wait_for("worker started again")

    assert running.children["worker"].pid != before


def test_a_killed_api_stops_all(tmp_path: Path):
    with launched(tmp_path) as launch:
        launch.wait_for("ready http")
        children = launch.children
        children["api"].kill()
        launch.wait_for("api ended with -9")
        code = launch.process.wait(STOP_SECONDS)

    assert code == 1
    assert not any(child.is_running() for child in children.values())
