"""Whether a killed process was killed for want of memory: Linux says so only indirectly."""

from contextlib import suppress
from pathlib import Path

NEAR_LIMIT = 0.9

_PROC = Path("/proc")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_KIB = 1024


class MemoryWatch:
    """Follows the memory of a process from its start.

    The kernel kills without a word. What it leaves is a counter of such kills, the machine's or the
    container's host's, and the size that the process had when last looked at.

    Args:
        pid: the process.
        proc: where the kernel's figures are.
    """

    def __init__(self, pid: int, *, proc: Path = _PROC) -> None:
        self._proc = proc
        self._status = proc / str(pid) / "status"
        self._kills_before = self._count_kills()
        self._peak_bytes = 0

    def look(self) -> None:
        """Note the size of the process; one that has ended leaves the last note as it is."""
        resident = _read_figure(self._status, "VmHWM:") * _KIB
        self._peak_bytes = max(self._peak_bytes, resident)

    @property
    def ran_out(self) -> bool:
        """Whether memory ran out while the process ran: only evidence, the kernel names nobody."""
        limit = self._limit_bytes()
        is_near_limit = limit > 0 and self._peak_bytes >= NEAR_LIMIT * limit
        return is_near_limit or self._count_kills() > self._kills_before

    def _count_kills(self) -> int:
        return _read_figure(self._proc / "vmstat", "oom_kill")

    def _limit_bytes(self) -> int:
        total = _read_figure(self._proc / "meminfo", "MemTotal:") * _KIB
        with suppress(OSError, ValueError):  # no container, or one without a limit
            return min(total, int(_CGROUP_LIMIT.read_text()))
        return total


def _read_figure(path: Path, name: str) -> int:
    """Return the number after `name`, 0 where this system does not tell it."""
    with suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            match line.split():
                case [first, figure, *_] if first == name:
                    return int(figure)
    return 0
