"""Whether a training that makes no progress has stalled, and where it stands then.

The training process registers a handler that writes the stacks of its threads to a file; its
supervisor, which sees the job's step stand still, sends the signal and reads the file.
"""

import faulthandler
import os
import signal
import time
from collections import deque
from pathlib import Path
from statistics import median

import structlog
from obstore.exceptions import BaseError
from sqlalchemy import select

from service.errors import ServiceError
from service.jobs.recording import NewEvent, record
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.resources import Resources
from worker.uploads import upload_log
from worker.workspace import Workspace

STALL_SIGNAL = signal.SIGUSR1
MEDIAN_STEPS = 20.0  # as many median steps without one are a stall

_WINDOW = 100
_DUMP_SECONDS = 1.0  # enough to write a few stacks

_log = structlog.get_logger(__name__)


class StallWatch:
    """Sees a job's step at moments of a monotonic clock; says once that it stands still.

    Args:
        least_seconds: no shorter time is a stall, however quick the steps are.
    """

    def __init__(self, *, least_seconds: float) -> None:
        self._least_seconds = least_seconds
        self._step: int | None = None
        self._moved_at = 0.0
        self._step_seconds: deque[float] = deque(maxlen=_WINDOW)
        self.is_stalled = False

    @property
    def limit_seconds(self) -> float:
        """How long the step may stand still."""
        typical = median(self._step_seconds) if self._step_seconds else 0.0
        return max(self._least_seconds, MEDIAN_STEPS * typical)

    def see(self, step: int, now: float) -> bool:
        """Take note of the step; True when it has just become a stall."""
        if step != self._step:
            if self._step is not None and step > self._step and not self.is_stalled:
                self._step_seconds.append((now - self._moved_at) / (step - self._step))
            self._step, self._moved_at, self.is_stalled = step, now, False
            return False
        stalled_before, self.is_stalled = self.is_stalled, now - self._moved_at > self.limit_seconds
        return self.is_stalled and not stalled_before


def answer_with_stacks(path: Path) -> None:
    """Let `STALL_SIGNAL` write this process's stacks to `path`, which exists from now on."""
    waiting = path.with_suffix(".new")
    file = waiting.open("w")  # stays open: the handler may not open one
    faulthandler.register(STALL_SIGNAL, file=file, all_threads=True)
    waiting.replace(path)  # only now: before the handler is there the signal would kill


class StallGuard:
    """Looks for a stall of one attempt, tells it to the job, and keeps the stacks as its log.

    Args:
        resources: the supervisor's own.
        fence: the attempt.
        pid: its training process.
    """

    def __init__(self, resources: Resources, fence: Fence, pid: int) -> None:
        self._resources = resources
        self._fence = fence
        self._pid = pid
        self._stacks = Workspace.of(resources.settings, fence).stacks
        least = resources.settings.stall_seconds
        self._watch = StallWatch(least_seconds=least)
        self._asked_at: float | None = None

    def look(self) -> None:
        """Look once; a stack dump is fetched at a later look than the one that asked for it."""
        now = time.monotonic()
        with self._resources.database.read() as session:
            row = select(Job.step, Job.phase).where(Job.id == self._fence.job_id)
            step, phase = session.execute(row).one()
        if phase in {"training", "stalled"} and self._watch.see(step, now):
            seconds = self._watch.limit_seconds
            message = f"no step after step {step} for more than {seconds:.0f} s: stalled"
            self._tell(NewEvent("note", {"message": message}), phase="stalled")
            if self._stacks.exists():
                os.kill(self._pid, STALL_SIGNAL)
                self._asked_at = now
        if self._asked_at is not None and now - self._asked_at > _DUMP_SECONDS:
            self._asked_at = None
            self._keep_stacks(step)

    def _keep_stacks(self, step: int) -> None:
        if self._stacks.stat().st_size == 0:  # frozen: it will write when it wakes up
            return
        try:
            log = upload_log(self._resources.storage, self._fence, self._stacks, step=step)
        except (BaseError, ServiceError) as error:
            _log.warning("stall.not_stored", job_id=self._fence.job_id, error=type(error).__name__)
            return
        self._tell(NewEvent("note", {"message": "where its threads stand is stored"}, log))

    def _tell(self, event: NewEvent, phase: str | None = None) -> None:
        with self._resources.database.write() as session:
            record(session, self._fence, [event], phase=phase)
