"""The file that a training process leaves at its end."""

from pathlib import Path

from worker.outcome import Outcome


def test_outcome_is_read_as_it_was_written(tmp_path: Path) -> None:
    outcome = Outcome(status="succeeded", metrics={"dice": 0.5}, card={"kind": "segmenter"})

    outcome.write(tmp_path / "outcome.json")

    assert Outcome.read(tmp_path / "outcome.json") == outcome


def test_process_that_left_nothing_has_no_outcome(tmp_path: Path) -> None:
    assert Outcome.read(tmp_path / "outcome.json") is None


def test_half_a_file_is_no_outcome(tmp_path: Path) -> None:
    (tmp_path / "outcome.json").write_text('{"status": "succ')

    assert Outcome.read(tmp_path / "outcome.json") is None
