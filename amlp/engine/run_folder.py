"""A run's folder: its checkpoints and pictures, and which checkpoint a run continues from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from amlp.checkpoint import (
    CHECKPOINTS_NAME,
    CheckpointInfo,
    best_checkpoint,
    damaged_checkpoints,
    list_checkpoints,
    load_weights,
    prune_checkpoints,
    read_info,
    read_state,
    read_weights,
    set_aside,
    write_checkpoint,
)
from amlp.errors import CheckpointError
from amlp.events import CheckpointWritten, Event, Note

PICTURES_NAME = "pictures"


class RunFolder:
    """Writes and reads what belongs to one run.

    Args:
        out: the run's folder.
        info: provenance of the run; step, epoch and metrics are filled in at each checkpoint.
        best_metric: the metric that decides which checkpoint is best, None for no such.
        emit: told of checkpoints written and of damaged ones.
    """

    def __init__(
        self,
        out: Path,
        info: CheckpointInfo,
        *,
        best_metric: str | None,
        emit: Callable[[Event], None],
    ) -> None:
        self._out = out
        self._checkpoints = out / CHECKPOINTS_NAME
        self._info = info
        self._best_metric = best_metric
        self._emit = emit

    def restore(
        self, network: nn.Module, *, of_epoch_ends: bool = False
    ) -> tuple[CheckpointInfo, dict[str, Tensor]] | None:
        """Load the newest sound checkpoint into `network`; None where the run has none yet.

        Damaged checkpoints are set aside with a note. With `of_epoch_ends` those without metrics
        are passed over: they were written at a stop.

        Raises:
            CheckpointError: all of them are damaged, or they belong to another run.
        """
        for path in reversed(list_checkpoints(self._checkpoints)):
            try:
                info = read_info(path)
                weights, state = read_weights(path, info), read_state(path, info)
            except CheckpointError as error:
                self._emit(Note(f"{path.name} is damaged ({error}); trying the one before"))
                set_aside(path)
                continue
            if of_epoch_ends and not info.metrics:
                continue
            self._check_same_run(info)
            load_weights(network, weights)
            return info, state
        if damaged := damaged_checkpoints(self._checkpoints):
            raise CheckpointError(
                f"all {len(damaged)} checkpoints of the run are damaged; "
                "start it again in an empty folder"
            )
        return None

    def write(
        self,
        *,
        weights: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        progress: Mapping[str, Any],  # CheckpointInfo's step, epoch and metrics
    ) -> None:
        """Write a checkpoint and remove those no longer needed.

        Raises:
            StorageFull: no space left; the former checkpoints are intact.
        """
        info = self._info.model_copy(update=progress)
        path, info = write_checkpoint(self._checkpoints, info, weights=weights, state=state)
        prune_checkpoints(self._checkpoints, metric=self._best_metric)
        self._emit(CheckpointWritten(info.step, info.epoch, path, info.sha256, info.metrics))

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Whether `metrics` beat those of every checkpoint written so far."""
        if self._best_metric is None or self._best_metric not in metrics:
            return False
        best = best_checkpoint(self._checkpoints, self._best_metric)
        return (
            best is None or metrics[self._best_metric] > read_info(best).metrics[self._best_metric]
        )

    def picture_path(self, kind: str, step: int) -> Path:
        """Return where the picture of `kind` at `step` goes."""
        folder = self._out / PICTURES_NAME
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{kind}-{step:08d}.png"

    def _check_same_run(self, info: CheckpointInfo) -> None:
        if self._extends(info):
            epochs = self._info.config["schedule"]["epochs"]
            self._emit(Note(f"extends a run that ended after {info.epoch} epochs to {epochs}"))
        elif info.config != self._info.config:
            changed = sorted(
                key
                for key in info.config.keys() | self._info.config.keys()
                if info.config.get(key) != self._info.config.get(key)
            )
            raise CheckpointError(
                f"the folder holds checkpoints of a run with other values of {', '.join(changed)}; "
                "use another folder or the same config"
            )
        if info.dataset_digest != self._info.dataset_digest:
            raise CheckpointError(
                f"the folder holds checkpoints of a run on data set {info.dataset_digest[:19]}, "
                f"expected {self._info.dataset_digest[:19]}"
            )

    def _extends(self, info: CheckpointInfo) -> bool:
        """Whether this run is the ended one of `info` with more epochs and all else equal."""
        before, now = (one.get("schedule", {}) for one in (info.config, self._info.config))
        planned = before.get("epochs", -1)
        if not info.epoch == planned < now.get("epochs", 0):
            return False
        longer = {**before, "epochs": now["epochs"]}
        return {**info.config, "schedule": longer} == self._info.config
