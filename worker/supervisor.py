"""One job from claim to end: watch its process, keep its lease, obey cancels, settle its outcome.

This process computes nothing itself. It proves the job's epoch to the database again and again;
when it cannot, it freezes the training before the lease runs out, and kills it once somebody else
holds the job.
"""

import threading
import time
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy.exc import DBAPIError

from service.jobs import lifecycle
from service.jobs.transition import Fence
from service.resources import Resources
from service.settings import Settings
from worker.failures import describe_failure
from worker.lease_guard import LeaseGuard
from worker.memory import MemoryWatch
from worker.outcome import Outcome
from worker.settlement import Ending, settle
from worker.stall import StallGuard
from worker.training_process import TrainingProcess
from worker.workspace import open_workspace, sweep_workspaces

_log = structlog.get_logger(__name__)


def run_job(
    resources: Resources, *, owner: str, stop: threading.Event, job_id: str | None = None
) -> bool:
    """Claim a job and see it to its end; False when there was none to claim.

    Args:
        resources: the process's own.
        owner: name of the worker.
        stop: once set, the job is put back after a checkpoint.
        job_id: this job only, or whichever is due longest.
    """
    settings = resources.settings
    sweep_workspaces(resources.database, settings)
    with resources.database.write() as session:
        job = lifecycle.claim(
            session, owner=owner, lease_seconds=settings.lease_seconds, job_id=job_id
        )
    if job is None:
        return False
    fence = Fence(job.id, job.epoch)
    _log.info("job.claimed", job_id=job.id, epoch=job.epoch, attempt=job.attempt, kind=job.kind)
    settle(resources, fence, _attempt(resources, fence, stop))
    return True


def _attempt(resources: Resources, fence: Fence, stop: threading.Event) -> Ending:
    try:
        with open_workspace(resources.settings, fence) as workspace:
            watch = _Watch(resources, fence, stop)
            exit_code = watch.run()
            outcome = Outcome.read(workspace.outcome)
            return Ending(exit_code, watch.asked, outcome, watch.memory_ran_out)
    except OSError as error:  # a full disk, no process left: not the job's fault
        _log.exception("job.not_started", job_id=fence.job_id, epoch=fence.epoch)
        return Ending(1, "", describe_failure(error))


@dataclass
class _Timing:
    """Deadlines by this machine's monotonic clock; the lease itself is the database's."""

    next_heartbeat: float
    kill_at: float | None = None


class _Watch:
    def __init__(self, resources: Resources, fence: Fence, stop: threading.Event) -> None:
        self._database = resources.database
        self._settings: Settings = resources.settings
        self._fence = fence
        self._stop = stop
        self.asked: Literal["", "cancel", "pause", "preempt", "fenced"] = ""
        self._timing = _Timing(time.monotonic() + self._settings.heartbeat_seconds)
        self._process = TrainingProcess(self._settings, fence)
        self._guard = LeaseGuard(self._process, self._settings.lease_seconds)
        self._memory = MemoryWatch(self._process.pid)
        self._stall = StallGuard(resources, fence, self._process.pid)

    @property
    def memory_ran_out(self) -> bool:
        """Whether the machine's memory ran out while the process ran."""
        return self._memory.ran_out

    def run(self) -> int:
        """Watch until the process has ended; return its exit code."""
        try:
            while (exit_code := self._process.wait(self._settings.cancel_poll_seconds)) is None:
                self._look()
        finally:
            self._guard.close()
            self._process.kill()  # also what the process may have left behind
        return exit_code

    def _look(self) -> None:
        self._memory.look()
        if self._stop.is_set():
            self._ask("preempt")
        try:
            standing = self._prove()
            if standing == "running":
                self._stall.look()
        except DBAPIError as error:  # the guard freezes the training in time
            name = type(error).__name__
            _log.warning("job.database_down", job_id=self._fence.job_id, error=name)
        else:
            self._obey(standing)
        if self._timing.kill_at is not None and time.monotonic() > self._timing.kill_at:
            self._process.kill()

    def _prove(self) -> lifecycle.Standing:
        now = time.monotonic()
        if now < self._timing.next_heartbeat:
            with self._database.read() as session:
                return lifecycle.standing(session, self._fence)
        lease = self._settings.lease_seconds
        with self._database.write() as session:
            standing = lifecycle.heartbeat(session, self._fence, lease_seconds=lease)
        self._guard.prove(now)  # before the answer, so never later than the row says
        self._timing.next_heartbeat = now + self._settings.heartbeat_seconds
        return standing

    def _obey(self, standing: lifecycle.Standing) -> None:
        match standing:
            case "running":
                self._process.resume()
            case "pausing":
                self._process.resume()
                self._ask("pause")
            case "cancelling":
                self._process.resume()
                self._ask("cancel")
            case "fenced":
                self.asked = "fenced"
                self._process.kill()

    def _ask(self, wish: Literal["cancel", "pause", "preempt"]) -> None:
        if self.asked == wish:
            return
        if not self.asked:
            self._process.ask_to_stop()
            self._timing.kill_at = time.monotonic() + self._settings.stop_grace_seconds
        self.asked = wish
