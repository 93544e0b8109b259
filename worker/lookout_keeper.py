"""Keeps a worker's look-out running, and ends it when the worker drains."""

import threading

import structlog

from service.processes import Child, Command, stop_children

_POLL_SECONDS = 1.0
_START_SECONDS = 10.0

_log = structlog.get_logger(__name__)


class LookoutKeeper:
    """A thread of the worker: its main loop stands still while the broker is away.

    The kernel ends the look-out with the thread that started it, so one thread sees it through.

    Args:
        command: how to start the look-out.
        grace_seconds: time it gets to put its job back.
    """

    def __init__(self, command: Command, *, grace_seconds: float) -> None:
        self._command = command
        self._grace_seconds = grace_seconds
        self._started, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="look-out keeper", daemon=True)

    def start(self) -> None:
        """Start the look-out and keep it running."""
        self._thread.start()
        # a pool forked meanwhile would hold the pipe on which the start waits
        self._started.wait(_START_SECONDS)

    def begin_stop(self) -> None:
        """Ask the look-out to end; it takes no further job."""
        self._stopped.set()

    def stop(self) -> None:
        """Wait until the look-out has ended, killed if need be."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        child = Child(self._command)
        self._started.set()
        while not self._stopped.wait(_POLL_SECONDS):
            if not child.is_running and child.restart_when_due():
                _log.warning("lookout.restarted", pid=child.pid)
        stop_children([child], grace_seconds=self._grace_seconds)
