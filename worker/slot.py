"""The one place for a job on a worker: its Celery task and its look-out share one GPU.

A file lock: it is free again the moment its holder ends, however it ends.
"""

import fcntl
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from service.settings import Settings


class Slot:
    """A lock file that names its holder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of_worker(cls, settings: Settings, worker: str) -> Self:
        """Return the slot of the worker with this Celery node name."""
        name = re.sub(r"[^A-Za-z0-9.-]", "_", worker)
        return cls(settings.data_dir.resolve() / "run" / f"slot-{name}")

    @contextmanager
    def take(self) -> Iterator[bool]:
        """Yield whether the slot was free and is ours for the length of the block."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.open("a+") as file:
            try:
                # a record lock: a forked child does not inherit it
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield True

    def stop_holder(self) -> None:
        """Send SIGTERM to the process that holds the slot, if any does."""
        if not self._path.exists():
            return
        with self._path.open("r+") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                with suppress(ProcessLookupError, ValueError):
                    os.kill(int(file.read()), signal.SIGTERM)
