"""What every verb returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class RunResult:
    """What a run leaves behind.

    Attributes:
        checkpoint: the trained network's folder, None for runs that train nothing.
        metrics: scalars by name.
        files: other files by what they are, such as `evaluation` or `manifest`.
    """

    checkpoint: Path | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
