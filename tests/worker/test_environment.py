"""A child process sees its parent's settings."""

from pathlib import Path

import pytest

from service.settings import Settings
from worker.environment import settings_environment, training_environment


def test_settings_survive_the_way_through_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path, lease_seconds=7.5, max_attempts=2, device="cpu")
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)

    assert Settings() == settings


@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", ""), ("cuda:1", "1"), ("cuda", None), ("auto", None)]
)
def test_training_sees_only_the_device_of_the_settings(device: str, expected: str | None) -> None:
    variables = training_environment(Settings(device=device))

    assert variables.get("CUDA_VISIBLE_DEVICES") == expected


def test_number_of_threads_is_handed_on() -> None:
    assert training_environment(Settings(num_threads=3))["OMP_NUM_THREADS"] == "3"
