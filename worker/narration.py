"""What each event of a run means for the job: an event row, progress, a phase, an upload."""

import math
import time
from collections.abc import Mapping
from typing import Any, assert_never

from amlp.events import (
    CaseEvaluated,
    CheckpointWritten,
    EpochDone,
    Event,
    Note,
    Picture,
    Started,
    Step,
)
from service.jobs.recording import NewEvent
from service.jobs.transition import Fence
from service.storage import Storage
from worker.uploads import upload_checkpoint, upload_picture


class Narrator:
    """Collects what is to be written; `forget` once it is."""

    def __init__(self, storage: Storage, fence: Fence) -> None:
        self._storage = storage
        self._fence = fence
        self._started_at = 0.0
        self._first_step = 0
        self.unwritten: list[NewEvent] = []
        self.progress: dict[str, Any] | None = None
        self.phase: str | None = None

    @property
    def has_news(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.unwritten) or self.progress is not None

    def forget(self) -> None:
        """Drop what has been written."""
        self.unwritten = []
        self.progress = None

    def tell(self, event: Event) -> None:
        """Take the event in, uploading what it names."""
        match event:
            case Started():
                self._begin(event)
            case Step():
                self._advance(event)
            case EpochDone(step, epoch, values):
                self._add_metrics(step, epoch, _means(values))
            case Picture():
                self._add(upload_picture(self._storage, self._fence, event))
            case CheckpointWritten():
                self._add(upload_checkpoint(self._storage, self._fence, event))
            case CaseEvaluated(done, total):
                self.phase = "evaluating"
                self.progress = {"fraction": done / total, "step": done, "total_steps": total}
            case Note(message):
                self._add(NewEvent("note", {"message": message}))
            case _:
                assert_never(event)

    def _begin(self, event: Started) -> None:
        self.phase = "training"
        self._started_at, self._first_step = time.monotonic(), event.first_step
        self.progress = {
            "fraction": event.first_step / max(event.total_steps, 1),
            "step": event.first_step,
            "total_steps": event.total_steps,
            "total_epochs": event.total_epochs,
        }
        where = f"{event.num_images} images on {event.device}"
        verb = f"continues at step {event.first_step}" if event.first_step else "starts"
        size = f"{event.num_parameters / 1e6:.1f} million parameters"
        self._add(NewEvent("note", {"message": f"training {verb}: {size}, {where}"}))

    def _advance(self, event: Step) -> None:
        done = event.step - self._first_step
        left = event.total_steps - event.step
        self.progress = {
            "fraction": event.step / max(event.total_steps, 1),
            "step": event.step,
            "total_steps": event.total_steps,
            "epoch": event.epoch,
            "total_epochs": event.total_epochs,
            "images_per_second": event.images_per_second,
            "eta_seconds": (time.monotonic() - self._started_at) / max(done, 1) * left,
            "metrics": finite(event.values),
        }
        values = {**event.values, "images_per_second": event.images_per_second}
        self._add_metrics(event.step, event.epoch, values)

    def _add_metrics(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        data = {"step": step, "epoch": epoch, "values": finite(values)}
        self._add(NewEvent("metric", data))

    def _add(self, event: NewEvent | None) -> None:
        if event is not None:
            self.unwritten.append(event)


def _means(values: Mapping[str, float]) -> dict[str, float]:
    """Name an epoch's means apart from the step's values of the same name."""
    return {
        name if name.startswith("validation/") else f"epoch/{name}": value
        for name, value in values.items()
    }


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values that are numbers: JSON knows no NaN."""
    return {name: float(value) for name, value in values.items() if math.isfinite(value)}
