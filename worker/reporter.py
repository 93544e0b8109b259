"""A run's events become rows, its files become blobs: all under the attempt's epoch.

The run's own thread only queues; a second thread uploads and writes. While the database or the
storage is away, events wait in memory and the run goes on.
"""

import math
import threading
import time
from collections import deque

import structlog
from obstore.exceptions import BaseError
from sqlalchemy.exc import DBAPIError

from amlp.events import CaseEvaluated, CheckpointWritten, Event, Started, Step
from service.errors import ServiceError
from service.jobs.recording import forget_old_checkpoints, record
from service.jobs.transition import Fence
from service.resources import Resources
from worker.narration import Narrator

METRIC_SECONDS = 1.0
FLUSH_SECONDS = 0.5
CLOSE_SECONDS = 20.0
MAX_WAITING = 10_000

_log = structlog.get_logger(__name__)


class Reporter:
    """Listener of a run in a training process.

    Args:
        resources: the process's own.
        fence: the attempt; once it is refused, the run is told to stop.
        stop: once set, the run is told to stop.
    """

    def __init__(self, resources: Resources, fence: Fence, stop: threading.Event) -> None:
        self._resources = resources
        self._fence = fence
        self._stop = stop
        self._narrator = Narrator(resources.storage, fence)
        self._waiting: deque[Event] = deque()
        self._metric_at = -math.inf
        self._closing = threading.Event()
        self.has_started = False
        self.is_fenced = False
        self.trouble: Exception | None = None  # why the last try to write failed
        self._well_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def on_event(self, event: Event) -> None:
        """Queue the event; steps in quick succession are thinned."""
        if isinstance(event, Started | CaseEvaluated):
            self.has_started = True
        if isinstance(event, Step) and not self._is_due(event):
            return
        if len(self._waiting) >= MAX_WAITING:  # away for long: what the run computes matters more
            _log.warning("reporter.event_dropped", job_id=self._fence.job_id)
            return
        self._waiting.append(event)

    def should_stop(self) -> bool:
        """Whether SIGTERM came or the attempt is fenced off."""
        return self._stop.is_set() or self.is_fenced

    def close(self) -> bool:
        """Write what is left, however long that takes; False when it is refused or goes on failing.

        `is_fenced` and `trouble` tell these two apart.
        """
        self._closing.set()
        closing_at = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(FLUSH_SECONDS)
            failing = self.trouble is not None
            if failing and time.monotonic() - max(closing_at, self._well_at) > CLOSE_SECONDS:
                return False
        return not self.is_fenced

    def _is_due(self, step: Step) -> bool:
        now = time.monotonic()
        if step.step < step.total_steps and now - self._metric_at < METRIC_SECONDS:
            return False
        self._metric_at = now
        return True

    def _run(self) -> None:
        while not self.is_fenced:
            is_last = self._closing.wait(FLUSH_SECONDS)
            try:
                self._catch_up()
            except (DBAPIError, BaseError, ServiceError, OSError) as error:
                where, name = self._fence.job_id, type(error).__name__
                _log.warning("reporter.write_failed", job_id=where, error=name)
                self.trouble = error
                time.sleep(FLUSH_SECONDS)
                continue
            self.trouble, self._well_at = None, time.monotonic()
            if is_last:
                return

    def _catch_up(self) -> None:
        has_checkpoint = False
        while self._waiting:
            event = self._waiting[0]
            self._narrator.tell(event)  # uploads; when that fails the event stays the first
            self._waiting.popleft()
            has_checkpoint = has_checkpoint or isinstance(event, CheckpointWritten)
        self._flush(has_checkpoint=has_checkpoint)

    def _flush(self, *, has_checkpoint: bool) -> None:
        narrator = self._narrator
        if not narrator.has_news:
            return
        old: list[str] = []
        with self._resources.database.write() as session:
            is_ours = record(
                session,
                self._fence,
                narrator.unwritten,
                progress=narrator.progress,
                phase=narrator.phase,
            )
            if is_ours and has_checkpoint:
                old = forget_old_checkpoints(session, self._fence.job_id)
        if not is_ours:
            self.is_fenced = True
            return
        narrator.forget()
        for key in old:
            self._resources.storage.delete(self._resources.storage.keys(key))
