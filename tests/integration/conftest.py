"""Fixtures of the integration tests: the service's own, and real worker processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from service.settings import Settings
from tests.service.conftest import (  # noqa: F401  (fixtures)
    api_key,
    client,
    headers,
    migrated_database,
    resources,
    settings,
)
from worker.environment import settings_environment

CELERY = (
    *("-m", "celery", "--app", "worker.app", "worker", "--queues", "train", "--pool", "prefork"),
    *("--concurrency", "1", "--max-tasks-per-child", "1", "--without-gossip", "--without-mingle"),
)
LOOKOUT = ("-m", "worker.lookout", "--poll-seconds", "0.5")

StartWorker = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    """Start `python ...` with settings; every such process and its children end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(settings: Settings, *arguments: str) -> subprocess.Popen[bytes]:  # noqa: F811
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **settings_environment(settings)},
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in started:
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
