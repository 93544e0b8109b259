"""Pretraining end to end on phantoms."""

import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from amlp.checkpoint import read_info
from amlp.errors import Cancelled, CheckpointError, EmptyDataset
from amlp.events import CheckpointWritten, EpochDone, Note, Picture, Started, Step
from amlp.manifest import Manifest
from amlp.pretrain import pretrain
from tests.tiny_runs import Recorder, pretrain_config


def test_a_run_ends_with_a_checkpoint_that_tells_where_it_came_from(
    phantoms: Path, tmp_path: Path
) -> None:
    config = pretrain_config()

    result = pretrain(config, phantoms, tmp_path)

    assert result.checkpoint is not None
    info = read_info(result.checkpoint)
    assert info.kind == "pretrained"
    assert info.config == config.model_dump(mode="json")
    assert info.dataset_digest == Manifest.load(phantoms).digest
    assert info.architecture.encoder == config.encoder


def test_events_come_in_the_order_of_the_run(phantoms: Path, tmp_path: Path) -> None:
    listener = Recorder()

    pretrain(pretrain_config(epochs=2), phantoms, tmp_path, listener)

    started = listener.of(Started)[0]
    assert started.total_epochs == 2
    assert [event.epoch for event in listener.of(EpochDone)] == [0, 1]
    assert [event.step for event in listener.of(CheckpointWritten)][-1] == started.total_steps
    assert listener.of(Step)[-1].step == started.total_steps


def test_the_masking_ratio_rises_over_the_epochs(phantoms: Path, tmp_path: Path) -> None:
    listener = Recorder()

    pretrain(pretrain_config(epochs=3), phantoms, tmp_path, listener)

    ratios = [event.values["mask_ratio"] for event in listener.of(EpochDone)]
    assert ratios == pytest.approx([4 / 16, 7 / 16, 10 / 16])


def test_an_epoch_tells_what_masking_and_difficulty_did(phantoms: Path, tmp_path: Path) -> None:
    listener = Recorder()

    pretrain(pretrain_config(epochs=1), phantoms, tmp_path, listener)

    values = listener.of(EpochDone)[0].values
    assert {"lesion_share", "degenerate_share", "difficulty/lesion", "head_agreement"} <= set(
        values
    )
    assert all(math.isfinite(value) for value in values.values())


def test_the_mae_preset_has_no_category_head_and_loses_nothing(
    phantoms: Path, tmp_path: Path
) -> None:
    listener = Recorder()

    result = pretrain(pretrain_config(epochs=1, preset="mae"), phantoms, tmp_path, listener)

    assert result.checkpoint is not None
    weights = load_file(result.checkpoint / "weights.safetensors")
    assert not any("category" in name for name in weights)
    values = listener.of(EpochDone)[0].values
    assert values["loss/total"] == values["loss/reconstruction"]


def test_a_picture_of_reconstructions_is_drawn(phantoms: Path, tmp_path: Path) -> None:
    listener = Recorder()

    pretrain(pretrain_config(epochs=1), phantoms, tmp_path, listener)

    picture = listener.of(Picture)[-1]
    assert picture.kind == "reconstruction"
    with Image.open(picture.path) as image:
        assert image.width > 5 * 100


def test_too_few_updates_are_remarked_on(phantoms: Path, tmp_path: Path) -> None:
    listener = Recorder()

    pretrain(pretrain_config(epochs=1), phantoms, tmp_path, listener)

    assert any("fewer than 2000" in note.message for note in listener.of(Note))


def test_random_masking_with_a_category_head_is_remarked_on(phantoms: Path, tmp_path: Path) -> None:
    listener = Recorder()
    config = pretrain_config(epochs=1, masking={"strategy": "random"})

    pretrain(config, phantoms, tmp_path, listener)

    assert any("random masking" in note.message for note in listener.of(Note))


def test_only_training_images_are_used_unless_transductive(phantoms: Path, tmp_path: Path) -> None:
    inductive, transductive = Recorder(), Recorder()

    pretrain(pretrain_config(epochs=1), phantoms, tmp_path / "a", inductive)
    pretrain(pretrain_config(epochs=1, transductive=True), phantoms, tmp_path / "b", transductive)

    manifest = Manifest.load(phantoms)
    assert inductive.of(Started)[0].num_images == len(manifest.of_split("train"))
    assert transductive.of(Started)[0].num_images == len(manifest.cases)
    assert any("transductive" in note.message for note in transductive.of(Note))


def test_switching_losses_off_leaves_the_masks_and_images_alone(
    phantoms: Path, tmp_path: Path
) -> None:
    with_losses, without = Recorder(), Recorder()
    off = {"attention_reconstruction": {"weighting": "none"}, "category_consistency": {"weight": 0}}

    pretrain(pretrain_config(epochs=1), phantoms, tmp_path / "a", with_losses)
    pretrain(pretrain_config(epochs=1, **off), phantoms, tmp_path / "b", without)

    for name in ("lesion_share", "masked_lesion_share"):
        first, second = (run.of(EpochDone)[0].values[name] for run in (with_losses, without))
        assert first == second


@pytest.mark.parametrize("stops", [(1,), (3,), (4, 9), (2, 3, 5, 7)])
def test_a_stopped_run_ends_with_the_same_bits_as_an_uninterrupted_one(
    stops: tuple[int, ...], phantoms: Path, tmp_path: Path
) -> None:
    config = pretrain_config(epochs=3, deterministic=True)
    whole = pretrain(config, phantoms, tmp_path / "whole", Recorder())

    done = 0
    for stop in stops:
        with pytest.raises(Cancelled):
            pretrain(config, phantoms, tmp_path / "parts", Recorder(stop_at=stop - done))
        done = stop
    last = Recorder()
    parts = pretrain(config, phantoms, tmp_path / "parts", last)

    assert last.of(Started)[0].first_step == stops[-1]
    assert whole.checkpoint is not None
    assert parts.checkpoint is not None
    assert read_info(parts.checkpoint).files == read_info(whole.checkpoint).files
    assert parts.metrics == pytest.approx(whole.metrics)


def test_equal_seeds_give_equal_weights_and_others_do_not(phantoms: Path, tmp_path: Path) -> None:
    digests = [
        read_info(result.checkpoint).sha256
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
        if (result := pretrain(pretrain_config(1, seed=seed), phantoms, tmp_path / name)).checkpoint
    ]

    assert digests[0] == digests[1] != digests[2]


def test_a_damaged_newest_checkpoint_is_set_aside_and_told(phantoms: Path, tmp_path: Path) -> None:
    config = pretrain_config(epochs=3, checkpoint_every=1)
    newest = pretrain(config, phantoms, tmp_path).checkpoint
    assert newest is not None
    expected = read_info(newest).sha256
    weights = newest / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    listener = Recorder()

    result = pretrain(config, phantoms, tmp_path, listener)

    assert any("damaged" in note.message for note in listener.of(Note))
    assert listener.of(Started)[0].first_step > 0
    assert result.checkpoint is not None
    assert read_info(result.checkpoint).sha256 == expected


def test_a_run_never_starts_again_from_zero_in_silence(phantoms: Path, tmp_path: Path) -> None:
    config = pretrain_config(epochs=1)
    only = pretrain(config, phantoms, tmp_path).checkpoint
    assert only is not None
    (only / "checkpoint.json").unlink()

    for _ in range(2):
        with pytest.raises(CheckpointError, match="damaged"):
            pretrain(config, phantoms, tmp_path)


def test_a_folder_of_another_run_is_refused(phantoms: Path, tmp_path: Path) -> None:
    pretrain(pretrain_config(epochs=1), phantoms, tmp_path)

    with pytest.raises(CheckpointError, match="other values of seed"):
        pretrain(pretrain_config(epochs=1, seed=7), phantoms, tmp_path)


def test_a_data_set_without_training_images_is_refused(phantoms: Path, tmp_path: Path) -> None:
    manifest = Manifest.load(phantoms)
    cases = tuple(case.model_copy(update={"split": "test"}) for case in manifest.cases)
    folder = tmp_path / "data"
    folder.mkdir()
    manifest.model_copy(update={"cases": cases}).save(folder)

    with pytest.raises(EmptyDataset, match="train split"):
        pretrain(pretrain_config(), folder, tmp_path / "out")


def test_the_loss_falls(phantoms: Path, tmp_path: Path) -> None:
    listener = Recorder()
    config = pretrain_config(epochs=12, preset="mae", optimizer={"lr": 3e-3}, checkpoint_every=100)

    pretrain(config, phantoms, tmp_path, listener)

    losses = [event.values["loss/total"] for event in listener.of(EpochDone)]
    assert losses[-1] < 0.85 * losses[0]


def test_bf16_trains_close_to_fp32(phantoms: Path, tmp_path: Path) -> None:
    exact, rough = Recorder(), Recorder()

    pretrain(pretrain_config(epochs=1), phantoms, tmp_path / "a", exact)
    pretrain(pretrain_config(epochs=1, precision="bf16"), phantoms, tmp_path / "b", rough)

    first, second = (run.of(EpochDone)[0].values for run in (exact, rough))
    assert second["loss/total"] == pytest.approx(first["loss/total"], rel=0.02)
    assert second["masked_lesion_share"] == first["masked_lesion_share"]


@pytest.mark.gpu
def test_a_gpu_computes_what_the_cpu_does(phantoms: Path, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    listener = Recorder()

    pretrain(pretrain_config(epochs=2), phantoms, tmp_path, listener)

    assert listener.of(Started)[0].device.startswith("cuda")
