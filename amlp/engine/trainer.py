"""The loop that pretraining and fine-tuning share: updates, events, checkpoints, exact resuming."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import AdamW

from amlp.checkpoint import CheckpointInfo
from amlp.config import FinetuneConfig, PretrainConfig
from amlp.data import Batch, BatchSource, epoch_order, epoch_uniforms
from amlp.engine.distributed import Processes
from amlp.engine.meter import Meter
from amlp.engine.optimizer import set_learning_rate
from amlp.engine.run_folder import RunFolder
from amlp.engine.schedule import learning_rate_factor
from amlp.engine.seeding import deterministic_kernels, seed_network
from amlp.engine.training_state import optimizer_state, restore_optimizer
from amlp.errors import Cancelled, ConfigError
from amlp.events import EpochDone, Event, Listener, Picture, Started, Step
from amlp.precision import autocast

_SECONDS_BETWEEN_STEP_EVENTS = 0.2
_STEPS_BETWEEN_AGREEMENTS = 10
_SPEED_SMOOTHING = 0.9


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


class Trainer:
    """Runs a task to its end, from the newest checkpoint in its folder where there is one."""

    def __init__(
        self,
        task: Task,
        config: TrainingRun,
        *,
        out: Path,
        listener: Listener,
        processes: Processes,
    ) -> None:
        self._task = task
        self._config = config
        self._listener = listener
        self._processes = processes
        self._folder = RunFolder(out, task.info, best_metric=task.best_metric, emit=self._emit)
        self._batch_size = _batch_size(config, task.source, processes)
        self._network = processes.wrap(task.network)
        self._meter = Meter()
        self._steps_per_epoch = len(task.source) // self._batch_size
        self._total_steps = self._steps_per_epoch * config.schedule.epochs
        self._step = 0
        self._drawn_epoch = -1
        self._order = np.empty(0, dtype=np.int64)
        self._uniforms = np.empty((0, 0))
        self._heard_at = time.monotonic()
        self._heard_step = 0
        self._speed = 0.0

    def run(self) -> None:
        """Train to the last epoch.

        Raises:
            Cancelled: the listener asked to stop; a checkpoint of this moment was written.
            Diverged: a loss became non-finite; nothing of it was written.
            CheckpointError: every checkpoint in the folder is damaged, or of another run.
            StorageFull: no space for a checkpoint.
        """
        with deterministic_kernels(self._config.deterministic):
            self._resume()
            self._task.network.train()
            while self._step < self._total_steps:
                self._obey()
                self._update()
                if self._step % self._steps_per_epoch == 0:
                    self._end_epoch()
                elif time.monotonic() - self._heard_at > _SECONDS_BETWEEN_STEP_EVENTS:
                    self._report()

    def _resume(self) -> None:
        restored = self._folder.restore(self._task.network)
        if restored is not None:
            info, state = restored
            restore_optimizer(self._task.network, self._task.optimizer, state)
            self._meter.restore(state)
            self._step = self._heard_step = info.step
        self._emit(
            Started(
                total_steps=self._total_steps,
                total_epochs=self._config.schedule.epochs,
                num_images=len(self._task.source),
                num_parameters=sum(p.numel() for p in self._task.network.parameters()),
                device=str(self._processes.device),
                first_step=self._step,
            )
        )

    def _obey(self) -> None:
        alone = self._processes.world == 1
        if not alone and self._step % _STEPS_BETWEEN_AGREEMENTS:
            return  # asking the first process makes all of them wait for each other
        if self._processes.agree(self._processes.is_first and self._listener.should_stop()):
            self._processes.first_does(lambda: self._write({}))
            raise Cancelled(f"stopped at step {self._step} of {self._total_steps} as asked")

    def _update(self) -> None:
        config, moment = self._config, self._moment()
        batch = self._batch(moment)
        factor = learning_rate_factor(
            self._step,
            total_steps=self._total_steps,
            warmup_fraction=config.schedule.warmup_fraction,
        )
        set_learning_rate(self._task.optimizer, config.optimizer.lr * factor)
        seed_network(config.seed, step=self._step, rank=self._processes.rank)
        with autocast(config.precision, self._processes.device):
            values = self._task.losses(self._network, batch, moment)
        self._task.optimizer.zero_grad(set_to_none=True)
        values["loss/total"].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        norm = self._clip_gradients()
        self._task.optimizer.step()
        self._step += 1
        self._meter.add(self._step, {**values, "gradient_norm": norm})

    def _batch(self, moment: Moment) -> Batch:
        source, seed = self._task.source, self._config.seed
        start = (self._step % self._steps_per_epoch) * self._batch_size
        if self._drawn_epoch != moment.epoch:
            self._drawn_epoch = moment.epoch
            self._order = epoch_order(seed, moment.epoch, len(source))
            self._uniforms = epoch_uniforms(seed, moment.epoch, len(source), source.num_draws)
        together = self._order[start : start + self._batch_size]
        indices = together[self._processes.rank :: self._processes.world]
        return source.batch(indices, self._uniforms[indices], self._processes.device)

    def _clip_gradients(self) -> Tensor:
        parameters = [p for p in self._task.network.parameters() if p.grad is not None]
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self._config.optimizer.clip_norm is not None:
            clip_grads_with_norm_(parameters, self._config.optimizer.clip_norm, norm)
        return norm

    def _end_epoch(self) -> None:
        self._report()
        self._processes.first_does(self._finish_epoch)
        self._heard_at = time.monotonic()  # validation is not training speed

    def _finish_epoch(self) -> None:
        epochs_done = self._step // self._steps_per_epoch
        values = self._meter.close_epoch()
        self._task.network.eval()
        with torch.no_grad(), autocast(self._config.precision, self._processes.device):
            values |= self._task.validate()
        self._task.network.train()
        self._emit(EpochDone(self._step, epochs_done - 1, values))
        is_last = epochs_done == self._config.schedule.epochs
        is_due = epochs_done % self._config.checkpoint_every == 0
        if is_last or is_due or self._folder.is_best(values):
            self._write(values)
        if is_last or is_due:
            self._draw(epochs_done - 1)

    def _write(self, metrics: Mapping[str, float]) -> None:
        network = self._task.network
        state = optimizer_state(network, self._task.optimizer) | self._meter.state()
        self._folder.write(
            weights=network.state_dict(),
            state=state,
            progress={
                "step": self._step,
                "epoch": self._step // self._steps_per_epoch,
                "metrics": dict(metrics),
            },
        )

    def _draw(self, epoch: int) -> None:
        path = self._folder.picture_path(self._task.picture, self._step)
        self._task.network.eval()
        with torch.no_grad(), autocast(self._config.precision, self._processes.device):
            self._task.draw(path)
        self._task.network.train()
        self._emit(Picture(self._step, epoch, self._task.picture, path))

    def _report(self) -> None:
        values = self._meter.read()
        now = time.monotonic()
        images = (self._step - self._heard_step) * self._batch_size
        speed = images / max(now - self._heard_at, 1e-9)
        smooth = _SPEED_SMOOTHING if self._speed else 0.0
        self._speed = smooth * self._speed + (1 - smooth) * speed
        self._heard_at, self._heard_step = now, self._step
        epoch = (self._step - 1) // self._steps_per_epoch
        lr = max(group["lr"] for group in self._task.optimizer.param_groups)
        self._emit(
            Step(
                step=self._step,
                total_steps=self._total_steps,
                epoch=epoch,
                total_epochs=self._config.schedule.epochs,
                values={**values, "lr": lr},
                images_per_second=self._speed,
            )
        )

    def _moment(self) -> Moment:
        epoch = self._step // self._steps_per_epoch
        return Moment(self._step, epoch, self._config.schedule.epochs, self._processes.rank)

    def _emit(self, event: Event) -> None:
        if self._processes.is_first:
            self._listener.on_event(event)


def _batch_size(config: TrainingRun, source: BatchSource, processes: Processes) -> int:
    """Return the images of an update over all processes: all samples where there are fewer."""
    size = min(config.batch_size, len(source))
    if size % processes.world:
        raise ConfigError(
            f"{size} images an update cannot be shared equally by {processes.world} processes"
        )
    return size
