"""Child processes that end with their parent and, unless essential, come back when they die."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

_PR_SET_PDEATHSIG = 1
_FIRST_RESTART_SECONDS = 1.0
_LONGEST_RESTART_SECONDS = 30.0
_STABLE_SECONDS = 60.0
_POLL_SECONDS = 0.05

# loaded here because nothing may be imported between fork and exec
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Command:
    """How to start a child.

    Attributes:
        name: what messages call it.
        arguments: program and arguments.
        environment: variables set on top of this process's own.
        descriptors: open files the child inherits.
        is_essential: whether the whole service stops when it dies.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()
    is_essential: bool = False


class Child:
    """One running command and, after its death, its next start.

    The child has a session of its own: a Ctrl-C in the terminal reaches the parent only, which then
    stops its children in order.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self._wait_seconds = _FIRST_RESTART_SECONDS
        self._restart_at: float | None = None
        self._start()

    @property
    def pid(self) -> int:
        """Process id of the newest start."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit status, negative for a signal, None while it runs."""
        return self._process.poll()

    def restart_when_due(self) -> bool:
        """Start again if its wait is over; the wait doubles while it keeps dying early."""
        now = time.monotonic()
        if self._restart_at is None:
            self.kill()  # what it started must not run beside the next start
            if now - self._started_at > _STABLE_SECONDS:
                self._wait_seconds = _FIRST_RESTART_SECONDS
            self._restart_at = now + self._wait_seconds
            self._wait_seconds = min(2 * self._wait_seconds, _LONGEST_RESTART_SECONDS)
        if now < self._restart_at:
            return False
        self._start()
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it still runs."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the process and all of its session that did not leave it, at once."""
        with suppress(ProcessLookupError):  # the whole session may have ended by itself
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603  (the launcher's own fixed commands)
            self.command.arguments,
            env={**os.environ, **self.command.environment},
            pass_fds=self.command.descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(_end_with_parent, os.getpid()),  # noqa: PLW1509  (system calls only)
        )
        self._started_at = time.monotonic()
        self._restart_at = None


def stop_children(children: Sequence[Child], *, grace_seconds: float) -> None:
    """Ask all children to end with SIGTERM; kill those that still run after the grace."""
    for child in children:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while any(child.is_running for child in children) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for child in children:
        child.kill()


def _end_with_parent(parent: int) -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)
