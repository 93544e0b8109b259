"""The service as real processes on loopback: API, workers, broker, database; and one client."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from service.jobs.recording import checkpoints
from service.jobs.tables import Job, JobArtifact, JobEvent
from service.resources import Resources
from service.settings import Settings
from tests.faults.nemesis import Process
from tests.integration.caller import PRETRAIN
from worker.environment import settings_environment

ROOT = Path(__file__).parents[2]
SECONDS = 40.0
QUICK = PRETRAIN | {"deterministic": True}
LONG = QUICK | {"schedule": {"epochs": 20_000}, "checkpoint_every": 5}
TERMINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}


def wait_for(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Return the condition's first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)
    return value


@dataclass
class Cluster:
    """Processes that share a database and a broker; `accepted` are the ids answered with 202."""

    settings: Settings
    resources: Resources
    headers: dict[str, str]
    accepted: list[str] = field(default_factory=list)
    address: str = ""
    _processes: list[Process] = field(default_factory=list)

    def start_api(self, **changes: Any) -> Process:
        """Start an API on a free port and wait until it answers."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            arguments = ("-m", "service", "api", "--fd", str(listener.fileno()))
            api = self._start(arguments, changes, listener.fileno())
        wait_for(self._is_alive, "the API answers")
        return api

    def start_lookout(self, name: str, **changes: Any) -> Process:
        """Start a worker that needs no broker."""
        options = ("--worker", name, "--poll-seconds", "0.3")
        return self._start(("-m", "worker.lookout", *options), changes)

    def start_celery(self, name: str, **changes: Any) -> Process:
        """Start a worker that messages wake."""
        return self._start(("-m", "service", "worker", "--name", name), changes)

    def start(self, arguments: Sequence[str], **changes: Any) -> Process:
        """Start any command with the settings in its environment."""
        return self._start(arguments, changes, program=())

    def post(self, path: str, **request: Any) -> httpx2.Response:
        headers = self.headers | request.pop("headers", {})
        return httpx2.post(self.address + path, headers=headers, timeout=40, **request)

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.address + path, headers=self.headers, timeout=40)

    def submit(self, config: dict[str, Any] = QUICK, *, key: str = "", **request: Any) -> str:
        """Submit a pretraining and return its id."""
        body = {"kind": "pretrain", "dataset_version": "dsv_1", "config": config, **request}
        headers = {"Idempotency-Key": key or uuid4().hex}
        answer = self.post("/v1/jobs", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        job_id = str(answer.json()["id"])
        self.accepted.append(job_id)
        return job_id

    def job(self, job_id: str) -> Job:
        with self.resources.database.read() as session:
            return session.get_one(Job, job_id)

    def num_jobs(self) -> int:
        with self.resources.database.read() as session:
            return session.scalar(select(func.count()).select_from(Job)) or 0

    def checkpoints(self, job_id: str) -> list[JobArtifact]:
        with self.resources.database.read() as session:
            return checkpoints(session, job_id)

    def notes(self, job_id: str) -> list[str]:
        return [event.data["message"] for event in self.events(job_id, "note")]

    def events(self, job_id: str, kind: str = "state") -> list[JobEvent]:
        wanted = (JobEvent.job_id == job_id, JobEvent.type == kind)
        with self.resources.database.read() as session:
            return list(session.scalars(select(JobEvent).where(*wanted).order_by(JobEvent.seq)))

    def wait(self, job_id: str, seconds: float = SECONDS, **expected: Any) -> Job:
        """Return the job once it is as expected; it must not end otherwise."""

        def reached() -> Job | None:
            try:
                job = self.job(job_id)
            except DBAPIError:  # part of the test
                return None
            if all(getattr(job, name) == value for name, value in expected.items()):
                return job
            assert job.state not in TERMINAL, (job.state, job.reason, job.error)
            return None

        return wait_for(reached, f"{job_id} has {expected}", seconds)

    def wait_for_step(self, job_id: str, *, num_checkpoints: int = 1) -> None:
        """Wait until the job trains and has stored so many checkpoints."""
        self.wait(job_id, phase="training")
        wait_for(
            lambda: len(self.checkpoints(job_id)) >= num_checkpoints, f"checkpoints of {job_id}"
        )

    def close(self) -> None:
        """End everything that was started."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.resources.close()

    def _start(
        self,
        arguments: Sequence[str],
        changes: dict[str, Any],
        *descriptors: int,
        program: Sequence[str] = (sys.executable,),
    ) -> Process:
        settings = self.settings.model_copy(update=changes)
        process = subprocess.Popen(
            [*program, *arguments],
            cwd=ROOT,
            env={**os.environ, **settings_environment(settings), "PYTHONPATH": str(ROOT)},
            pass_fds=descriptors,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def _is_alive(self) -> bool:
        try:
            return self.get("/livez").status_code == 200
        except httpx2.TransportError:
            return False
