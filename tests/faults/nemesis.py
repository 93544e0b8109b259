"""What goes wrong, done to real processes: a process always means it and all that it started."""

import os
import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

Process = subprocess.Popen[bytes]


class Nemesis:
    """Kills, freezes and wakes processes, and damages files; its choices come from a seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def kill(self, process: Process) -> None:
        """SIGKILL to all at once, as when the machine is gone."""
        self._signal_tree(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, process: Process) -> None:
        """Freeze all."""
        self._signal_tree(process.pid, signal.SIGSTOP)

    def cont(self, process: Process) -> None:
        """Let all go on."""
        self._signal_tree(process.pid, signal.SIGCONT)

    def flip_bit(self, path: Path) -> None:
        """Change one bit of the file."""
        content = bytearray(path.read_bytes())
        where = self.random.randrange(len(content))
        content[where] ^= 1 << self.random.randrange(8)
        path.write_bytes(content)

    def truncate(self, path: Path) -> None:
        """Cut the file somewhere."""
        os.truncate(path, self.random.randrange(path.stat().st_size))

    def _signal_tree(self, pid: int, number: signal.Signals) -> None:
        root = psutil.Process(pid)
        for one in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)


def training_of(process: Process) -> psutil.Process | None:
    """Return the training process that a worker supervises now, if there is one."""
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "worker.train" in child.cmdline():
                    return child
    return None
