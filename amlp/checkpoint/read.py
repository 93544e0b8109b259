"""Reading a checkpoint that nobody vouches for: sizes, digests, header and values come first."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from amlp.checkpoint.info import STATE_NAME, WEIGHTS_NAME, CheckpointInfo
from amlp.errors import CheckpointError

_MAX_HEADER_BYTES = 1 << 20  # the library itself accepts 100 MB: 11 s and 1.2 GB when hostile
_NAMES_SHOWN = 5


def read_weights(folder: Path, info: CheckpointInfo) -> dict[str, Tensor]:
    """Read the weights of a checkpoint, verified against its info.

    Raises:
        CheckpointError: size, digest, header or a value is not as it should be.
    """
    weights = _read_verified(folder, WEIGHTS_NAME, info)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"weight {name} holds values that are not finite")
    return weights


def read_state(folder: Path, info: CheckpointInfo) -> dict[str, Tensor]:
    """Read the training state of a checkpoint, verified against its info.

    Raises:
        CheckpointError: it was stripped, or size, digest or header is not as it should be.
    """
    return _read_verified(folder, STATE_NAME, info)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file whose header has passed our own limits.

    Raises:
        CheckpointError: it is not a safetensors file, is damaged, or its header is oversized.
    """
    _check_header(path)
    try:
        return dict(load_file(path))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{path.name} is not a sound safetensors file: {error}") from error


def load_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy `weights` into `module`; names and shapes must be exactly its own.

    Raises:
        CheckpointError: names are missing or unexpected, or a shape differs.
    """
    expected = module.state_dict()
    missing = sorted(expected.keys() - weights.keys())
    unexpected = sorted(weights.keys() - expected.keys())
    if missing or unexpected:
        raise CheckpointError(
            f"the checkpoint does not fit the network: {_listed('missing', missing)}, "
            f"{_listed('unexpected', unexpected)}"
        )
    for name, tensor in expected.items():
        if tensor.shape != weights[name].shape:
            raise CheckpointError(
                f"weight {name} has shape {tuple(weights[name].shape)}, "
                f"expected {tuple(tensor.shape)}"
            )
    module.load_state_dict(dict(weights))


def _read_verified(folder: Path, name: str, info: CheckpointInfo) -> dict[str, Tensor]:
    records = {str(key): record for key, record in info.files.items()}
    path = folder / name
    if name not in records or not path.is_file():
        raise CheckpointError(f"{folder.name} holds no {name}")
    record, size = records[name], path.stat().st_size
    if size != record.size:
        raise CheckpointError(f"{name} has {size} bytes, expected {record.size}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != record.sha256:
        raise CheckpointError(f"{name} has sha256 {digest[:12]}…, expected {record.sha256[:12]}…")
    return read_tensors(path)


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_MAX_HEADER_BYTES, path.stat().st_size - 8):
            raise CheckpointError(
                f"{path.name} declares a header of {length} bytes, "
                f"expected 2 to {_MAX_HEADER_BYTES} within the file"
            )
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"the header of {path.name} is not JSON") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"the header of {path.name} is not a JSON object")


def _listed(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    return f"{len(names)} {what}" + (f" ({shown})" if names else "")
