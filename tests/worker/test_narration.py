"""What events mean for a job, without a database."""

from pathlib import Path

import pytest

from amlp.events import CaseEvaluated, CheckpointWritten, Started, Step
from service.jobs.transition import Fence
from service.storage import Storage
from worker.narration import Narrator, finite


@pytest.fixture
def narrator(tmp_path: Path) -> Narrator:
    return Narrator(Storage((tmp_path / "objects").as_uri()), Fence("job_1", 1))


def test_resumed_training_counts_from_where_it_goes_on(narrator: Narrator) -> None:
    narrator.tell(Started(100, 10, 8, 1000, "cpu", first_step=50))

    assert narrator.progress is not None
    assert narrator.progress["fraction"] == 0.5
    assert "continues at step 50" in narrator.unwritten[0].data["message"]


def test_time_left_follows_the_pace_since_the_start(narrator: Narrator) -> None:
    narrator.tell(Started(100, 10, 8, 1000, "cpu"))
    narrator.tell(Step(100, 100, 9, 10, {}, 5.0))

    assert narrator.progress is not None
    assert narrator.progress["eta_seconds"] == 0.0


def test_evaluated_cases_are_the_progress_of_an_evaluation(narrator: Narrator) -> None:
    narrator.tell(CaseEvaluated(1, 4, {"dice": 0.5}))

    assert narrator.progress == {"fraction": 0.25, "step": 1, "total_steps": 4}


def test_checkpoint_that_the_run_removed_already_is_left_out(
    narrator: Narrator, tmp_path: Path
) -> None:
    narrator.tell(CheckpointWritten(1, 0, tmp_path / "step-00000001", "c" * 64))

    assert narrator.unwritten == []


def test_values_that_are_no_numbers_are_left_out() -> None:
    assert finite({"a": 1.0, "b": float("nan"), "c": float("inf")}) == {"a": 1.0}
