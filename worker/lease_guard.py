"""Freezes a training whose lease is not proven in time, even while the proof itself hangs."""

import threading
import time

from worker.training_process import TrainingProcess

FREEZE_SHARE = 0.75  # of the lease without proof: before it runs out, training stands still
_LOOKS_A_LEASE = 40


class LeaseGuard:
    """A thread beside the supervisor, which may wait for a database that never answers.

    Args:
        process: what is frozen.
        lease_seconds: length of the lease, which is fresh now.
    """

    def __init__(self, process: TrainingProcess, lease_seconds: float) -> None:
        self._process = process
        self._limit = FREEZE_SHARE * lease_seconds
        self._period = lease_seconds / _LOOKS_A_LEASE
        self._proven_at = time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease guard", daemon=True)
        self._thread.start()

    def prove(self, at: float) -> None:
        """Note that the lease was prolonged by a request sent at `at` (monotonic clock)."""
        self._proven_at = at

    def close(self) -> None:
        """End the thread; nothing is frozen after that."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(self._period):
            if time.monotonic() - self._proven_at > self._limit:
                self._process.pause()
