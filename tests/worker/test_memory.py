"""Evidence that a process was killed for want of memory, from the kernel's own figures."""

import os
from pathlib import Path

import pytest

from worker.memory import MemoryWatch


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Make a /proc with a machine of 1000 MiB and a process of 100 MiB."""
    (tmp_path / "vmstat").write_text("pgfault 7\noom_kill 3\n")
    (tmp_path / "meminfo").write_text("MemTotal:  1024000 kB\n")
    grow(tmp_path, mib=100)
    return tmp_path


def grow(proc: Path, *, mib: int) -> None:
    (proc / "42").mkdir(exist_ok=True)
    (proc / "42" / "status").write_text(f"Name: python\nVmHWM:  {mib * 1024} kB\n")


def test_small_process_did_not_run_out(proc: Path) -> None:
    watch = MemoryWatch(42, proc=proc)

    watch.look()

    assert not watch.ran_out


def test_process_that_was_seen_near_the_limit_ran_out(proc: Path) -> None:
    watch = MemoryWatch(42, proc=proc)
    grow(proc, mib=950)
    watch.look()
    (proc / "42" / "status").unlink()
    watch.look()

    assert watch.ran_out


def test_kill_of_the_kernel_meanwhile_is_evidence(proc: Path) -> None:
    watch = MemoryWatch(42, proc=proc)

    (proc / "vmstat").write_text("oom_kill 4\n")

    assert watch.ran_out


def test_system_without_these_figures_has_no_evidence(tmp_path: Path) -> None:
    watch = MemoryWatch(42, proc=tmp_path / "none")

    watch.look()

    assert not watch.ran_out


def test_this_process_has_not_run_out() -> None:
    watch = MemoryWatch(os.getpid())

    watch.look()

    assert not watch.ran_out
