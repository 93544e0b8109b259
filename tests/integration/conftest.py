"""Fixtures of the integration tests: the application, a caller, and real worker processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.integration.caller import Caller
from worker.environment import settings_environment

CELERY = (
    *("-m", "celery", "--app", "worker.app", "worker", "--queues", "train", "--pool", "prefork"),
    *("--concurrency", "1", "--max-tasks-per-child", "1", "--without-gossip", "--without-mingle"),
)
LOOKOUT = ("-m", "worker.lookout", "--poll-seconds", "0.5")

StartWorker = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def quick_settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "lease_seconds": 6.0,
            "heartbeat_seconds": 1.0,
            "cancel_poll_seconds": 0.2,
            "reconcile_seconds": 0.5,
            "retry_base_seconds": 0.0,
            "device": "cpu",
        }
    )


@pytest.fixture
def caller(quick_settings: Settings, headers: dict[str, str], tmp_path: Path) -> Iterator[Caller]:
    """A caller of the running application, with a data set of phantoms."""
    with TestClient(create_app(quick_settings), base_url="http://localhost") as running:
        made = Caller(running, headers)
        yield replace(made, dataset=made.upload_phantoms(tmp_path / "raw"))


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    """Start `python ...` with settings; every such process and its children end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(settings: Settings, *arguments: str) -> subprocess.Popen[bytes]:
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
