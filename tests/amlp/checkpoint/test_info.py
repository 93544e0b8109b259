"""`checkpoint.json`."""

import json
from pathlib import Path

import pytest

from amlp.checkpoint import CheckpointInfo, current_versions, read_info
from amlp.errors import CheckpointError


def test_the_digest_is_that_of_the_weights_file(written: Path) -> None:
    info = read_info(written)

    assert info.sha256 == info.files["weights.safetensors"].sha256


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"kind": "pickle"},
        {"step": -1},
        {"surprise": 1},
        {"files": {"../weights.safetensors": {"sha256": "0" * 64, "size": 1}}},
        {"files": {}},
        {"files": {"weights.safetensors": {"sha256": "x", "size": 1}}},
    ],
)
def test_what_is_not_ours_is_refused(change: dict[str, object], written: Path) -> None:
    path = written / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(CheckpointError):
        read_info(written)


def test_an_oversized_file_is_refused_before_it_is_parsed(written: Path) -> None:
    (written / "checkpoint.json").write_text(" " * (2 << 20))

    with pytest.raises(CheckpointError, match="2097152 bytes"):
        read_info(written)


def test_a_folder_or_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(CheckpointError, match=r"holds no checkpoint\.json"):
        read_info(tmp_path)
    with pytest.raises(CheckpointError, match="is a file"):
        read_info(file)


def test_it_survives_its_own_json(written: Path) -> None:
    info = read_info(written)

    assert CheckpointInfo.model_validate_json(info.model_dump_json()) == info


def test_the_versions_name_what_computes() -> None:
    assert {"python", "torch", "timm", "monai"} <= set(current_versions())
