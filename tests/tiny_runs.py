"""Runs small enough for a test: two blocks on 32 x 32 images."""

from pathlib import Path
from typing import Any

from amlp.config import FinetuneConfig, PretrainConfig
from amlp.events import Event
from amlp.imageio import read_folder
from amlp.phantom import generate_phantoms

ENCODER = {"embed_dim": 32, "depth": 2, "num_heads": 2}
DECODER = {"embed_dim": 16, "depth": 1, "num_heads": 2}
SHARED: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 8,
    "encoder": ENCODER,
    "batch_size": 4,
    "precision": "fp32",
    "checkpoint_every": 10,
}


def pretrain_config(epochs: int = 2, **values: Any) -> PretrainConfig:
    return PretrainConfig(
        **{**SHARED, "decoder": DECODER, "schedule": {"epochs": epochs}, **values}
    )


def finetune_config(epochs: int = 2, **values: Any) -> FinetuneConfig:
    head = {"name": "unetr2d", "channels": 8}
    return FinetuneConfig(**{**SHARED, "head": head, "schedule": {"epochs": epochs}, **values})


def write_data_set(folder: Path, count: int = 24, size: int = 48) -> Path:
    """Write phantoms as a canonical data set."""
    raw = generate_phantoms(folder / "raw", count, size=size)
    read_folder(raw, folder / "canonical", name="phantoms")
    return folder / "canonical"


class Recorder:
    """Keeps the events of a run; stops it when `stop_at` updates were asked for."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.events: list[Event] = []
        self.asked = 0
        self.stop_at = stop_at

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def should_stop(self) -> bool:
        self.asked += 1
        return self.stop_at is not None and self.asked > self.stop_at

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]
