"""The slot: one job at a time on a worker, free again however its holder ends."""

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

from service.settings import Settings
from worker.slot import Slot


def hold(path: Path, ready: Connection) -> None:
    with Slot(path).take() as free:
        ready.send(free)
        time.sleep(60)


def start_holder(path: Path) -> tuple[multiprocessing.process.BaseProcess, bool]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    holder = context.Process(target=hold, args=(path, there))
    holder.start()
    return holder, bool(here.recv())


def is_free(path: Path) -> bool:
    with Slot(path).take() as free:
        return free


def test_free_slot_is_taken_and_freed(tmp_path: Path) -> None:
    assert is_free(tmp_path / "slot")
    assert is_free(tmp_path / "slot")


def test_slot_held_by_another_process_is_not_free_until_that_is_killed(tmp_path: Path) -> None:
    holder, held = start_holder(tmp_path / "slot")

    while_held = is_free(tmp_path / "slot")
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join()

    assert held
    assert not while_held
    assert is_free(tmp_path / "slot")


def test_holder_is_asked_to_stop(tmp_path: Path) -> None:
    holder, _ = start_holder(tmp_path / "slot")

    Slot(tmp_path / "slot").stop_holder()
    holder.join(20)

    assert holder.exitcode == -signal.SIGTERM


def test_nobody_is_stopped_when_the_slot_is_free(tmp_path: Path) -> None:
    (tmp_path / "slot").write_text(str(os.getpid()))

    Slot(tmp_path / "slot").stop_holder()

    assert is_free(tmp_path / "slot")


def test_workers_of_other_names_have_other_slots(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    with (
        Slot.of_worker(settings, "a@host").take() as first,
        Slot.of_worker(settings, "b@host").take() as second,
    ):
        assert first
        assert second
