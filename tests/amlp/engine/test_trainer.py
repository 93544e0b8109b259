"""The loop, on a network of one layer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from amlp.checkpoint import Architecture, CheckpointInfo, list_checkpoints, read_info, read_weights
from amlp.config import EncoderConfig, PretrainConfig
from amlp.data import Batch
from amlp.engine import Moment, Processes, Task, Trainer, build_optimizer
from amlp.errors import Cancelled, ConfigError, Diverged
from amlp.events import CheckpointWritten, EpochDone, Note, Step
from tests.tiny_runs import Recorder, pretrain_config

CPU = torch.device("cpu")
ALONE = Processes(0, 1, CPU)


class Numbers:
    """Samples 0 .. n - 1, each an image of its own number."""

    num_draws = 1

    def __init__(self, count: int) -> None:
        self.count = count
        self.seen: list[list[int]] = []

    def __len__(self) -> int:
        return self.count

    def batch(
        self, indices: NDArray[np.int64], uniforms: NDArray[np.float64], device: torch.device
    ) -> Batch:
        self.seen.append(indices.tolist())
        values = torch.from_numpy(indices).float().reshape(-1, 1, 1, 1)
        return Batch(values.expand(-1, 1, 2, 2), None)


def _losses(network: nn.Module, batch: Batch, moment: Moment) -> dict[str, Tensor]:
    return {"loss/total": (network(batch.images.flatten(1)) - 1).square().mean()}


def _trainer(
    out: Path,
    config: PretrainConfig,
    *,
    source: Numbers | None = None,
    losses: Callable[..., dict[str, Tensor]] = _losses,
    listener: Recorder | None = None,
    scores: list[float] | None = None,
    team: Processes = ALONE,
) -> Trainer:
    torch.manual_seed(0)
    network = nn.Linear(4, 1)
    encoder = EncoderConfig(embed_dim=12, depth=1, num_heads=1)
    info = CheckpointInfo(
        kind="pretrained",
        step=0,
        epoch=0,
        config=config.model_dump(mode="json"),
        architecture=Architecture(image_size=16, patch_size=8, channels=1, encoder=encoder),
        dataset_digest="sha256:0",
        seed=0,
        versions={},
    )
    remaining = list(scores or [])
    task = Task(
        network=network,
        optimizer=build_optimizer(network, config.optimizer),
        source=source or Numbers(10),
        losses=losses,
        info=info,
        validate=lambda: {"score": remaining.pop(0)} if remaining else {},
        draw=lambda path: path.touch(),
        picture="nothing",
        best_metric="score",
    )
    return Trainer(task, config, out=out, listener=listener or Recorder(), processes=team)


def test_an_epoch_shows_whole_batches_without_repeats(tmp_path: Path) -> None:
    source = Numbers(10)

    _trainer(tmp_path, pretrain_config(epochs=2), source=source).run()

    assert [len(batch) for batch in source.seen] == [4, 4, 4, 4]
    for epoch in (source.seen[:2], source.seen[2:]):
        assert len({number for batch in epoch for number in batch}) == 8


def test_fewer_samples_than_a_batch_are_one_batch(tmp_path: Path) -> None:
    source = Numbers(3)

    _trainer(tmp_path, pretrain_config(epochs=2), source=source).run()

    assert [sorted(batch) for batch in source.seen] == [[0, 1, 2], [0, 1, 2]]


def test_a_resumed_run_sees_the_samples_that_were_left(tmp_path: Path) -> None:
    whole, first, second = Numbers(20), Numbers(20), Numbers(20)
    config = pretrain_config(epochs=2)

    _trainer(tmp_path / "whole", config, source=whole).run()
    with pytest.raises(Cancelled):
        _trainer(tmp_path / "parts", config, source=first, listener=Recorder(stop_at=3)).run()
    _trainer(tmp_path / "parts", config, source=second).run()

    assert first.seen + second.seen == whole.seen


def test_a_loss_that_is_no_number_ends_the_run_and_is_not_kept(tmp_path: Path) -> None:
    def losses(network: nn.Module, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        values = _losses(network, batch, moment)
        factor = float("nan") if moment.step == 3 else 1.0
        return {"loss/total": values["loss/total"] * factor}

    config = pretrain_config(epochs=4, checkpoint_every=1)

    with pytest.raises(Diverged, match="at step 4"):
        _trainer(tmp_path, config, losses=losses).run()

    assert [path.name for path in list_checkpoints(tmp_path / "checkpoints")] == ["step-00000002"]


def failing(at: int, times: int) -> Callable[..., dict[str, Tensor]]:
    """Return losses that are no number the first `times` that update `at` is made."""
    seen: list[int] = []

    def losses(network: nn.Module, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        seen.append(moment.step)
        is_bad = moment.step == at and seen.count(at) <= times
        factor = float("nan") if is_bad else 1.0
        return {"loss/total": _losses(network, batch, moment)["loss/total"] * factor}

    return losses


def unsound_above(limit: float, trainers: list[Trainer]) -> Callable[..., dict[str, Tensor]]:
    """Return losses that are no number from update 5 on while the last trainer is above `limit`."""

    def losses(network: nn.Module, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        values = _losses(network, batch, moment)
        is_bad = moment.step >= 5 and trainers[-1]._rollback.factor > limit
        return {"loss/total": values["loss/total"] * (float("nan") if is_bad else 1.0)}

    return losses


def last_weights(out: Path) -> Tensor:
    newest = list_checkpoints(out / "checkpoints")[-1]
    return read_weights(newest, read_info(newest))["weight"]


def test_a_run_that_diverges_goes_back_to_its_checkpoint_at_half_the_rate(tmp_path: Path) -> None:
    source, listener = Numbers(8), Recorder()
    config = pretrain_config(epochs=4, checkpoint_every=1)

    trainer = _trainer(
        tmp_path, config, source=source, losses=failing(at=5, times=1), listener=listener
    )
    trainer.run()

    [note] = listener.of(Note)
    assert "at step 6" in note.message
    assert "rollback 1 to step 4, from here at 0.5 times" in note.message
    assert len(source.seen) == 8 + 2
    assert source.seen[6:8] == source.seen[4:6]
    assert trainer._rollback.factor == 0.5


def test_a_run_that_diverges_before_its_first_checkpoint_begins_again(tmp_path: Path) -> None:
    source, listener = Numbers(8), Recorder()

    _trainer(
        tmp_path,
        pretrain_config(epochs=2),
        source=source,
        losses=failing(at=1, times=1),
        listener=listener,
    ).run()

    assert "rollback 1 to step 0" in listener.of(Note)[0].message
    assert source.seen[2:4] == source.seen[:2]
    assert bool(last_weights(tmp_path).isfinite().all())


@pytest.mark.parametrize("stops", [(3,), (5,), (6,), (2, 3, 4, 5), (7,), (9, 3, 5), (1, 6, 2)])
def test_a_stopped_run_that_diverges_ends_with_the_bits_of_an_uninterrupted_one(
    stops: tuple[int, ...], tmp_path: Path
) -> None:
    config = pretrain_config(epochs=8, checkpoint_every=2, deterministic=True)
    trainers: list[Trainer] = []

    def make(name: str, listener: Recorder) -> Trainer:
        trainer = _trainer(
            tmp_path / name,
            config,
            source=Numbers(8),
            losses=unsound_above(0.3, trainers),
            listener=listener,
        )
        trainers.append(trainer)
        return trainer

    make("whole", Recorder()).run()
    for stop in stops:
        with pytest.raises(Cancelled):
            make("parts", Recorder(stop_at=stop)).run()
    last = make("parts", Recorder())
    last.run()

    assert last._rollback.factor == 0.25
    assert torch.equal(last_weights(tmp_path / "parts"), last_weights(tmp_path / "whole"))


def test_a_stop_at_an_epochs_end_keeps_that_checkpoints_metrics(tmp_path: Path) -> None:
    config = pretrain_config(epochs=4, checkpoint_every=1)

    with pytest.raises(Cancelled):
        _trainer(tmp_path, config, source=Numbers(8), listener=Recorder(stop_at=4)).run()

    newest = list_checkpoints(tmp_path / "checkpoints")[-1]
    assert newest.name == "step-00000004"
    assert "loss/total" in read_info(newest).metrics


def test_checkpoints_come_every_few_epochs_and_at_the_end(tmp_path: Path) -> None:
    listener = Recorder()

    _trainer(tmp_path, pretrain_config(epochs=5, checkpoint_every=2), listener=listener).run()

    assert [event.epoch for event in listener.of(CheckpointWritten)] == [2, 4, 5]


def test_the_best_epoch_is_kept_whatever_the_rhythm(tmp_path: Path) -> None:
    listener = Recorder()
    scores = [0.2, 0.9, 0.3, 0.9, 0.1, 0.1, 0.1, 0.1]
    config = pretrain_config(epochs=8, checkpoint_every=2)

    _trainer(tmp_path, config, listener=listener, scores=scores).run()

    assert [event.epoch for event in listener.of(CheckpointWritten)] == [1, 2, 4, 6, 8]
    kept = [path.name for path in list_checkpoints(tmp_path / "checkpoints")]
    assert kept == [f"step-{2 * epoch:08d}" for epoch in (2, 4, 6, 8)]


def test_step_events_are_few_but_the_last_of_an_epoch_is_told(tmp_path: Path) -> None:
    listener = Recorder()

    _trainer(tmp_path, pretrain_config(epochs=3), source=Numbers(80), listener=listener).run()

    assert {20, 40, 60} <= {event.step for event in listener.of(Step)}
    assert len(listener.of(Step)) < 30
    assert [event.epoch for event in listener.of(EpochDone)] == [0, 1, 2]


def test_gradients_are_clipped_to_the_limit(tmp_path: Path) -> None:
    free, clipped = (
        _trainer(tmp_path / str(limit), pretrain_config(1, optimizer={"clip_norm": limit}))
        for limit in (None, 1e-9)
    )

    free.run()
    clipped.run()

    norms = [
        max(p.grad.norm() for p in trainer._task.network.parameters() if p.grad is not None)
        for trainer in (free, clipped)
    ]
    assert norms[0] > 1e-3
    assert norms[1] <= 1.01e-9


def test_a_batch_that_processes_cannot_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"4 images .* 3 processes"):
        _trainer(tmp_path, pretrain_config(), team=Processes(0, 3, CPU))


def test_progress_is_the_share_of_epochs_done() -> None:
    assert Moment(step=10, epoch=3, num_epochs=12, rank=0).progress == 0.25
