"""What a checkpoint says of itself: the contents of its `checkpoint.json`."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from amlp.config import EncoderConfig, HeadConfig, InferenceConfig
from amlp.errors import CheckpointError

INFO_NAME: Final = "checkpoint.json"
WEIGHTS_NAME: Final = "weights.safetensors"
STATE_NAME: Final = "state.safetensors"

PartName = Literal["weights.safetensors", "state.safetensors"]

_MAX_INFO_BYTES = 1 << 20


class FileRecord(BaseModel):
    """Size and digest of one file of the checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0, description="Bytes")


class Architecture(BaseModel):
    """What is needed to build the network again and to feed it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: int = Field(ge=16, le=1024)
    patch_size: int = Field(ge=2, le=64)
    channels: int = Field(ge=1, le=64)
    encoder: EncoderConfig
    head: HeadConfig | None = Field(None, description="None for a pretrained encoder")
    inference: InferenceConfig | None = Field(None, description="None for a pretrained encoder")
    label_names: tuple[str, ...] = Field((), max_length=256, description="From background on")


class CheckpointInfo(BaseModel):
    """Provenance of the weights and digests of the files beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    kind: Literal["pretrained", "segmenter"]
    step: int = Field(ge=0, description="Updates done")
    epoch: int = Field(ge=0, description="Epochs completed")
    config: dict[str, Any] = Field(description="The run's config as JSON")
    architecture: Architecture
    dataset_digest: str
    seed: int
    versions: dict[str, str]
    parent_sha256: str | None = Field(None, description="Checkpoint the encoder came from")
    metrics: dict[str, float] = Field(default_factory=dict)
    files: dict[PartName, FileRecord] = Field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The checkpoint's digest, defined as that of its weights file.

        It stays the same where the optimizer's state is stripped to publish the model.
        """
        return self.files[WEIGHTS_NAME].sha256


def read_info(folder: Path) -> CheckpointInfo:
    """Read and check a checkpoint's `checkpoint.json`.

    Raises:
        CheckpointError: there is none, it is too large, or it is not one of ours.
    """
    path = folder / INFO_NAME
    try:
        if path.stat().st_size > _MAX_INFO_BYTES:
            raise CheckpointError(
                f"{INFO_NAME} has {path.stat().st_size} bytes, expected at most {_MAX_INFO_BYTES}"
            )
        info = CheckpointInfo.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder.name} holds no {INFO_NAME}") from error
    except NotADirectoryError as error:
        raise CheckpointError(f"{folder.name} is a file, expected a checkpoint folder") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{INFO_NAME} is not sound: {field}: {first['msg']}") from error
    if WEIGHTS_NAME not in info.files:
        raise CheckpointError(f"{INFO_NAME} lists no {WEIGHTS_NAME}")
    return info


def current_versions() -> dict[str, str]:
    """Return the versions of what computes: recorded, and shown when results differ."""
    packages = {name: version(name) for name in ("torch", "timm", "monai", "numpy")}
    return {"python": platform.python_version(), **packages}
