"""The loop that pretraining and fine-tuning share: updates, events, checkpoints, exact resuming."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from amlp.checkpoint import CheckpointInfo
from amlp.data import Batch, BatchSource, epoch_order, epoch_uniforms
from amlp.engine.distributed import Processes
from amlp.engine.meter import Meter
from amlp.engine.optimizer import set_learning_rate
from amlp.engine.rollback import Rollback
from amlp.engine.run_folder import RunFolder
from amlp.engine.schedule import learning_rate_factor
from amlp.engine.seeding import deterministic_kernels, seed_network
from amlp.engine.task import Moment, Task, TrainingRun
from amlp.engine.training_state import optimizer_state, restore_optimizer
from amlp.errors import Cancelled, ConfigError, Diverged
from amlp.events import EpochDone, Event, Listener, Note, Picture, Started, Step
from amlp.precision import autocast

_SECONDS_BETWEEN_STEP_EVENTS = 0.2
_STEPS_BETWEEN_AGREEMENTS = 10
_SPEED_SMOOTHING = 0.9


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
        self._rollback = Rollback(task.network)
        self._steps_per_epoch = len(task.source) // self._batch_size
        self._total_steps = self._steps_per_epoch * config.schedule.epochs
        self._step = 0
        self._written_step = -1
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
            Diverged: a loss became non-finite, and again after each rollback, of which a single
                process makes two; nothing of it was written.
            CheckpointError: every checkpoint in the folder is damaged, or of another run.
            StorageFull: no space for a checkpoint.
        """
        with deterministic_kernels(self._config.deterministic):
            self._resume()
            self._task.network.train()
            while self._step < self._total_steps:
                try:
                    self._advance()
                except Diverged as error:
                    self._roll_back(error)

    def _advance(self) -> None:
        self._obey()
        self._update()
        if self._step % self._steps_per_epoch == 0:
            self._end_epoch()
        elif time.monotonic() - self._heard_at > _SECONDS_BETWEEN_STEP_EVENTS:
            self._report()

    def _resume(self) -> None:
        restored = self._folder.restore(self._task.network)
        if restored is not None:
            self._rollback.restore(restored[1])
            self._go_on_from(*restored)
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

    def _go_on_from(self, info: CheckpointInfo, state: Mapping[str, Tensor]) -> None:
        restore_optimizer(self._task.network, self._task.optimizer, state)
        self._meter = Meter()
        self._meter.restore(state)
        self._step = self._heard_step = self._written_step = info.step
        if info.metrics:
            self._rollback.forget_first_weights()

    def _roll_back(self, error: Diverged) -> None:
        """Go back to the last epoch's end that was kept: stops in between change no result."""
        if self._processes.world > 1:
            raise error  # each process would find out at another update
        number = self._rollback.count(error)
        if restored := self._folder.restore(self._task.network, of_epoch_ends=True):
            self._go_on_from(*restored)
        else:
            self._rollback.begin_again(self._task.network, error)
            self._task.optimizer.state.clear()
            self._meter = Meter()
            self._step = self._heard_step = 0
        self._emit(
            Note(
                f"{error}: rollback {number} to step {self._step}, "
                f"from here at {self._rollback.factor:g} times the learning rate"
            )
        )

    def _obey(self) -> None:
        alone = self._processes.world == 1
        if not alone and self._step % _STEPS_BETWEEN_AGREEMENTS:
            return  # asking the first process makes all of them wait for each other
        if self._processes.agree(self._processes.is_first and self._listener.should_stop()):
            self._processes.first_does(self._write_unless_written)
            raise Cancelled(f"stopped at step {self._step} of {self._total_steps} as asked")

    def _update(self) -> None:
        config, moment = self._config, self._moment()
        batch = self._batch(moment)
        factor = learning_rate_factor(
            self._step,
            total_steps=self._total_steps,
            warmup_fraction=config.schedule.warmup_fraction,
        )
        rate = config.optimizer.lr * self._rollback.factor
        set_learning_rate(self._task.optimizer, rate * factor)
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

    def _write_unless_written(self) -> None:
        if self._written_step != self._step:  # an epoch's end would lose its metrics
            self._write({})

    def _write(self, metrics: Mapping[str, float]) -> None:
        network = self._task.network
        state = optimizer_state(network, self._task.optimizer)
        state |= self._meter.state() | self._rollback.state()
        self._folder.write(
            weights=network.state_dict(),
            state=state,
            progress={
                "step": self._step,
                "epoch": self._step // self._steps_per_epoch,
                "metrics": dict(metrics),
            },
        )
        self._written_step = self._step
        if metrics:
            self._rollback.forget_first_weights()

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
