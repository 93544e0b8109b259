"""Writing checkpoints: complete or not at all."""

import hashlib
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from amlp.checkpoint import CheckpointInfo, list_checkpoints, read_info, write_checkpoint
from amlp.errors import StorageFull


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """Let the kernel refuse longer files, as a full disk or a quota would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_folder_is_named_after_the_step(written: Path) -> None:
    assert written.name == "step-00000007"


def test_the_info_holds_size_and_digest_of_each_file(written: Path) -> None:
    files = read_info(written).files

    assert set(files) == {"weights.safetensors", "state.safetensors"}
    for name, record in files.items():
        content = (written / name).read_bytes()
        assert record.size == len(content)
        assert record.sha256 == hashlib.sha256(content).hexdigest()


def test_equal_tensors_give_equal_bytes(
    tmp_path: Path, info: CheckpointInfo, weights: dict[str, Tensor]
) -> None:
    reversed_weights = dict(reversed(weights.items()))

    _, first = write_checkpoint(tmp_path / "a", info, weights=weights, state={})
    _, second = write_checkpoint(tmp_path / "b", info, weights=reversed_weights, state={})

    assert first.sha256 == second.sha256


def test_a_checkpoint_of_the_same_step_is_replaced(
    tmp_path: Path, written: Path, info: CheckpointInfo
) -> None:
    path, _ = write_checkpoint(tmp_path, info, weights={"c": torch.ones(1)}, state={})

    assert path == written
    assert list_checkpoints(tmp_path) == [written]


def test_a_group_may_read_the_files(written: Path) -> None:
    assert written.stat().st_mode & 0o777 == 0o750
    assert (written / "weights.safetensors").stat().st_mode & 0o777 == 0o640


def test_full_storage_leaves_the_former_checkpoint_and_no_remains(
    tmp_path: Path, written: Path
) -> None:
    info = read_info(written).model_copy(update={"step": 99})
    before = sorted(tmp_path.iterdir())

    with pytest.raises(StorageFull, match="former checkpoints are intact"), largest_file(20_000):
        write_checkpoint(tmp_path, info, weights={"w": torch.zeros(100_000)}, state={})

    assert sorted(tmp_path.iterdir()) == before
    assert read_info(written).step == 7


@pytest.mark.parametrize("failing_call", range(1, 6))
def test_an_io_error_at_any_sync_leaves_only_complete_checkpoints(
    failing_call: int, tmp_path: Path, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    sync = os.fsync

    def failing(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing_call:
            raise OSError(5, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    info = read_info(written).model_copy(update={"step": 8})

    with pytest.raises(OSError, match="Input/output"):
        write_checkpoint(tmp_path, info, weights={"a": torch.ones(1)}, state={})

    assert all(read_info(path).files for path in list_checkpoints(tmp_path))
    assert not list(tmp_path.glob(".writing-*"))
