"""The training process as its supervisor sees it: started by exec, paused, stopped, killed."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

from service.jobs.transition import Fence
from service.settings import Settings
from worker.environment import training_environment


class TrainingProcess:
    """`python -m worker.train` in a session of its own, so that its loaders end with it."""

    def __init__(self, settings: Settings, fence: Fence) -> None:
        arguments = [
            *(sys.executable, "-m", "worker.train"),
            *("--job", fence.job_id, "--epoch", str(fence.epoch), "--parent", str(os.getpid())),
        ]
        self._process = subprocess.Popen(  # noqa: S603  (our own module and identifiers)
            arguments,
            env={**os.environ, **training_environment(settings)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._is_paused = False
        self._pausing = threading.Lock()  # the lease's guard is another thread

    @property
    def pid(self) -> int:
        """Process id, which is its session's too."""
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """Return the exit code, negative for a signal; None when it still runs after `seconds`."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def ask_to_stop(self) -> None:
        """Ask for a checkpoint and an end."""
        self._process.send_signal(signal.SIGTERM)
        self.resume()

    def pause(self) -> None:
        """Freeze the whole session."""
        with self._pausing:
            self._is_paused = True
            self._signal_session(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen session go on; nothing happens to one that runs."""
        with self._pausing:
            if self._is_paused:
                self._is_paused = False
                self._signal_session(signal.SIGCONT)

    def kill(self) -> None:
        """End the whole session at once."""
        self._signal_session(signal.SIGKILL)

    def _signal_session(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
