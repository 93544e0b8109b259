"""A run's data set."""

from pathlib import Path

import pytest
import torch

from amlp.engine import Processes, cached_dataset
from amlp.events import Note
from amlp.phantom import generate_phantoms
from tests.tiny_runs import Recorder

CPU = torch.device("cpu")


@pytest.mark.parametrize(("rank", "is_told"), [(0, True), (1, False)])
def test_a_raw_folder_is_cached_in_the_run_and_the_first_process_tells_what_was_left_out(
    rank: int, is_told: bool, tmp_path: Path
) -> None:
    raw = generate_phantoms(tmp_path / "raw", 3, size=32)
    (raw / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    listener = Recorder()

    dataset = cached_dataset(
        raw, tmp_path / "out", processes=Processes(rank, 1, CPU), listener=listener
    )

    assert dataset.root.is_relative_to(tmp_path / "out" / "dataset")
    assert len(dataset.manifest.cases) == 3
    assert bool(listener.of(Note)) is is_told
