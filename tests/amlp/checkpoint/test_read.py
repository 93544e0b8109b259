"""Reading checkpoints that may be damaged or hostile."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from amlp.checkpoint import (
    CheckpointInfo,
    FileRecord,
    load_weights,
    read_info,
    read_state,
    read_tensors,
    read_weights,
    write_checkpoint,
)
from amlp.errors import CheckpointError


def _safetensors(header: object, data: bytes = b"") -> bytes:
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


def _tensor(offsets: tuple[int, int], shape: tuple[int, ...] = (1,)) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}


def test_what_was_written_is_read(written: Path, weights: dict[str, Tensor]) -> None:
    info = read_info(written)

    found = read_weights(written, info)

    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert torch.equal(read_state(written, info)["s"], torch.ones(2))


def test_a_flipped_bit_is_noticed(written: Path) -> None:
    path = written / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match="sha256"):
        read_weights(written, read_info(written))


def test_a_cut_file_is_noticed(written: Path) -> None:
    path = written / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(CheckpointError, match=r"has \d+ bytes, expected \d+"):
        read_weights(written, read_info(written))


def test_a_missing_file_is_noticed(written: Path) -> None:
    (written / "weights.safetensors").unlink()

    with pytest.raises(CheckpointError, match="holds no weights"):
        read_weights(written, read_info(written))


def test_weights_can_be_read_where_the_state_was_stripped(written: Path) -> None:
    (written / "state.safetensors").unlink()

    assert read_weights(written, read_info(written))
    with pytest.raises(CheckpointError, match="holds no state"):
        read_state(written, read_info(written))


def test_values_that_are_not_finite_are_refused(tmp_path: Path, info: CheckpointInfo) -> None:
    bad = {"layer": torch.tensor([1.0, float("nan")])}
    path, written = write_checkpoint(tmp_path, info, weights=bad, state={})

    with pytest.raises(CheckpointError, match=r"weight layer .* not finite"):
        read_weights(path, written)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        (2**63).to_bytes(8, "little") + b"{}",
        (100 << 20).to_bytes(8, "little") + b"{" + b" " * 100,
        (9).to_bytes(8, "little") + b"not json!",
        _safetensors([]),
        _safetensors(_tensor((0, 400)), b"\0" * 4),
        _safetensors(_tensor((0, 4), (2**62, 2**62)), b"\0" * 4),
        _safetensors({"a": {"dtype": "Q8", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4),
        b"\x80\x04\x95" + b"\0" * 40,
        b"PK\x03\x04" + b"\0" * 40,
    ],
    ids=[
        "empty",
        "short",
        "endless_header",
        "header_of_100_MB",
        "no_json",
        "no_object",
        "offsets_outside",
        "shape_overflow",
        "unknown_type",
        "pickle",
        "zip",
    ],
)
def test_what_is_no_safetensors_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)

    with pytest.raises(CheckpointError):
        read_tensors(path)


def test_every_hostile_file_is_refused_and_runs_nothing(
    real_data: Path, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    network = nn.Linear(3, 2)
    files = sorted((real_data / "hostile" / "checkpoints").iterdir())

    for file in files:
        content = file.read_bytes()
        (written / "weights.safetensors").write_bytes(content)
        record = FileRecord(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        info = read_info(written).model_copy(update={"files": {"weights.safetensors": record}})
        with pytest.raises(CheckpointError):
            load_weights(network, read_weights(written, info))

    assert files
    assert not list(written.glob("AMLP_PWNED*"))


def test_weights_go_into_the_network() -> None:
    network, other = nn.Linear(3, 2), nn.Linear(3, 2)

    load_weights(network, other.state_dict())

    assert torch.equal(network.weight, other.weight)


def test_missing_and_unexpected_names_are_listed() -> None:
    weights = {"bias": torch.zeros(2), "extra": torch.zeros(1)}

    with pytest.raises(CheckpointError, match=r"1 missing \(weight\), 1 unexpected \(extra\)"):
        load_weights(nn.Linear(3, 2), weights)


def test_another_shape_is_refused() -> None:
    weights = {"bias": torch.zeros(2), "weight": torch.zeros(2, 4)}

    with pytest.raises(CheckpointError, match=r"shape \(2, 4\), expected \(2, 3\)"):
        load_weights(nn.Linear(3, 2), weights)
