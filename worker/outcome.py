"""What a training process says of its end, in a file: its exit code alone says too little."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.jobs.reasons import FailureReason


class Outcome(BaseModel):
    """The end of a training process.

    `stopped` means that it was asked to stop and its last checkpoint is complete. Reason, code and
    message are a failure's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["succeeded", "failed", "stopped"]
    reason: FailureReason = "internal"
    code: str = ""
    message: str = ""
    retryable: bool = False
    model_kind: str | None = None
    card: Mapping[str, Any] | None = Field(None, description="A model's checkpoint.json")
    metrics: Mapping[str, Any] = Field(default_factory=dict)
    resources: Mapping[str, float] = Field(default_factory=dict, description="What it took")

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the outcome, None where the process ended without one."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, path: Path) -> None:
        """Write the outcome so that it is there as a whole or not at all."""
        temporary = path.with_suffix(".part")
        temporary.write_text(self.model_dump_json())
        temporary.replace(path)
