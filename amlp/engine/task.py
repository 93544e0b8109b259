"""What a verb gives the training loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn
from torch.optim import AdamW

from amlp.checkpoint import CheckpointInfo
from amlp.config import FinetuneConfig, PretrainConfig
from amlp.data import Batch, BatchSource


@dataclass(frozen=True)
class Moment:
    """Where in the run an update is: `step` and `epoch` from 0."""

    step: int
    epoch: int
    num_epochs: int
    rank: int

    @property
    def progress(self) -> float:
        """Epochs done over epochs in all, in [0, 1)."""
        return self.epoch / self.num_epochs


TrainingRun = PretrainConfig | FinetuneConfig

Losses = Callable[[nn.Module, Batch, Moment], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Task:
    """What a verb gives the loop.

    Attributes:
        network: trained in place.
        optimizer: over the parameters of `network`.
        source: the training samples.
        losses: scalars of a batch by name; `loss/total` is minimised. It calls the network it is
            given, which averages gradients over processes.
        info: provenance to write into every checkpoint.
        validate: metrics after an epoch.
        draw: writes a picture of the network's work to a path.
        picture: kind of that picture.
        best_metric: which of the metrics, where there is one, decides the best checkpoint.
    """

    network: nn.Module
    optimizer: AdamW
    source: BatchSource
    losses: Losses
    info: CheckpointInfo
    validate: Callable[[], Mapping[str, float]]
    draw: Callable[[Path], None]
    picture: str
    best_metric: str | None = None
