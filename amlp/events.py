"""What a run reports while it works, and who listens (torch-free).

The library never prints: a terminal shows these events as bars, the worker stores them as rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Started:
    """The run is about to compute; `first_step` is above 0 when it continues from a checkpoint."""

    total_steps: int
    total_epochs: int
    num_images: int
    num_parameters: int
    device: str
    first_step: int = 0


@dataclass(frozen=True)
class Step:
    """One update is done.

    Attributes:
        step: updates done so far, from 1.
        epoch: epoch of this update, from 0.
        values: scalars by name, such as `loss/total`, `loss/reconstruction`,
            `loss/category_consistency`, `mask_ratio`, `lr`.
        images_per_second: training throughput, smoothed.
    """

    step: int
    total_steps: int
    epoch: int
    total_epochs: int
    values: Mapping[str, float]
    images_per_second: float


@dataclass(frozen=True)
class EpochDone:
    """An epoch ended; `values` are its means and, for fine-tuning, `validation/dice`."""

    step: int
    epoch: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Picture:
    """A picture worth looking at was written, such as a sheet of reconstructions (PNG)."""

    step: int
    epoch: int
    kind: str
    path: Path


@dataclass(frozen=True)
class CheckpointWritten:
    """A checkpoint folder is complete on disk."""

    step: int
    epoch: int
    path: Path
    sha256: str
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseEvaluated:
    """One case of an evaluation is done (`done` of `total`)."""

    done: int
    total: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Note:
    """Something the user should know; the run goes on."""

    message: str


Event = Started | Step | EpochDone | Picture | CheckpointWritten | CaseEvaluated | Note


@runtime_checkable  # the suite checks annotations while it runs
class Listener(Protocol):
    """Hears the events of a run and may ask it to stop."""

    def on_event(self, event: Event) -> None:
        """Take note of `event`; called from the run's own thread, so be quick."""

    def should_stop(self) -> bool:
        """Whether the run should write a checkpoint and raise `Cancelled`."""


class SilentListener:
    """Hears nothing and never stops a run."""

    def on_event(self, event: Event) -> None:
        """Ignore the event."""

    def should_stop(self) -> bool:
        """Never."""
        return False
