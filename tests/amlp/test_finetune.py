"""Fine-tuning end to end on phantoms."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from amlp.checkpoint import read_info
from amlp.errors import Cancelled, CheckpointError, EmptyDataset, GeometryMismatch
from amlp.events import CheckpointWritten, EpochDone, Note, Picture, Started
from amlp.finetune import finetune
from amlp.manifest import Manifest
from amlp.pretrain import pretrain
from tests.tiny_runs import Recorder, finetune_config, pretrain_config, write_data_set


@pytest.fixture(scope="module")
def pretrained(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = pretrain(pretrain_config(1), phantoms, tmp_path_factory.mktemp("pre")).checkpoint
    assert checkpoint is not None
    return checkpoint


def _with_cases(phantoms: Path, folder: Path, **update: object) -> Path:
    """Return the phantoms' data set with changed cases; the files are linked."""
    manifest = Manifest.load(phantoms)
    folder.mkdir()
    for file in phantoms.iterdir():
        if file.name != "manifest.json":
            (folder / file.name).symlink_to(file)
    cases = tuple(case.model_copy(update=update) for case in manifest.cases)
    manifest.model_copy(update={"cases": cases}).save(folder)
    return folder


def test_the_result_is_the_checkpoint_of_best_validation_dice(
    phantoms: Path, tmp_path: Path
) -> None:
    listener = Recorder()

    result = finetune(finetune_config(epochs=6), phantoms, tmp_path, listener)

    scores = [event.values["validation/dice"] for event in listener.of(EpochDone)]
    assert result.metrics["validation/dice"] == max(scores)
    assert result.checkpoint is not None
    assert read_info(result.checkpoint).epoch == scores.index(max(scores)) + 1


def test_a_segmenter_says_what_it_needs_to_be_used(phantoms: Path, tmp_path: Path) -> None:
    config = finetune_config(epochs=1)

    result = finetune(config, phantoms, tmp_path)

    assert result.checkpoint is not None
    info = read_info(result.checkpoint)
    assert info.kind == "segmenter"
    assert info.architecture.label_names == ("background", "lesion")
    assert info.architecture.head == config.head
    assert info.parent_sha256 is None


def test_it_starts_from_the_pretrained_encoder(
    phantoms: Path, pretrained: Path, tmp_path: Path
) -> None:
    config = finetune_config(epochs=1, optimizer={"lr": 1e-12})

    result = finetune(config, phantoms, tmp_path, init=pretrained)

    assert result.checkpoint is not None
    assert read_info(result.checkpoint).parent_sha256 == read_info(pretrained).sha256
    before = load_file(pretrained / "weights.safetensors")
    after = load_file(result.checkpoint / "weights.safetensors")
    name = "encoder.blocks.1.attn.qkv.weight"
    assert torch.allclose(before[name], after[name], atol=1e-6)


def test_the_pretrained_encoder_s_shape_wins(
    phantoms: Path, pretrained: Path, tmp_path: Path
) -> None:
    config = finetune_config(epochs=1, encoder="vit_tiny", patch_size=16, image_size=64)

    result = finetune(config, phantoms, tmp_path, init=pretrained)

    assert result.checkpoint is not None
    architecture = read_info(result.checkpoint).architecture
    assert architecture.encoder.embed_dim == 32
    assert (architecture.patch_size, architecture.image_size) == (8, 64)


def test_other_channels_than_the_encoder_s_are_refused(
    phantoms: Path, pretrained: Path, tmp_path: Path
) -> None:
    data = _with_cases(phantoms, tmp_path / "data")
    Manifest.load(data).model_copy(update={"channels": 3}).save(data)

    with pytest.raises(GeometryMismatch, match="1 channels, those of the data set have 3"):
        finetune(finetune_config(), data, tmp_path / "out", init=pretrained)


def test_what_is_no_checkpoint_cannot_be_started_from(phantoms: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a checkpoint"):
        finetune(finetune_config(), phantoms, tmp_path / "out", init=tmp_path)


def test_a_data_set_without_masks_is_refused(phantoms: Path, tmp_path: Path) -> None:
    data = _with_cases(phantoms, tmp_path / "data", mask=None, mask_sha256=None)

    with pytest.raises(EmptyDataset, match="label map"):
        finetune(finetune_config(), data, tmp_path / "out")


def test_without_a_validation_split_the_last_checkpoint_is_the_result(
    phantoms: Path, tmp_path: Path
) -> None:
    data = _with_cases(phantoms, tmp_path / "data", split="train")
    listener = Recorder()

    result = finetune(finetune_config(epochs=2), data, tmp_path / "out", listener)

    assert any("no labelled validation split" in note.message for note in listener.of(Note))
    assert result.checkpoint == listener.of(CheckpointWritten)[-1].path
    assert "validation/dice" not in result.metrics


@pytest.mark.parametrize("stops", [(2,), (5, 9)])
def test_a_stopped_run_ends_with_the_same_bits_as_an_uninterrupted_one(
    stops: tuple[int, ...], phantoms: Path, tmp_path: Path
) -> None:
    config = finetune_config(epochs=3, deterministic=True, drop_path=0.5)
    whole = finetune(config, phantoms, tmp_path / "whole")

    done = 0
    for stop in stops:
        with pytest.raises(Cancelled):
            finetune(config, phantoms, tmp_path / "parts", Recorder(stop_at=stop - done))
        done = stop
    last = Recorder()
    parts = finetune(config, phantoms, tmp_path / "parts", last)

    assert last.of(Started)[0].first_step == stops[-1]
    assert whole.checkpoint is not None
    assert parts.checkpoint is not None
    assert read_info(parts.checkpoint).files == read_info(whole.checkpoint).files


def test_windows_of_the_images_own_resolution_can_be_trained_on(
    phantoms: Path, tmp_path: Path
) -> None:
    listener = Recorder()
    config = finetune_config(epochs=1, inference={"mode": "sliding_window"})

    finetune(config, phantoms, tmp_path, listener)

    assert 0 <= listener.of(EpochDone)[0].values["validation/dice"] <= 1
    assert listener.of(Picture)[-1].kind == "segmentation"


def test_several_classes_are_told_apart(phantoms: Path, tmp_path: Path) -> None:
    data = _with_cases(phantoms, tmp_path / "data")
    names = ("background", "lesion", "cyst")
    Manifest.load(data).model_copy(update={"label_names": names}).save(data)
    listener = Recorder()

    finetune(finetune_config(epochs=1), data, tmp_path / "out", listener)

    values = listener.of(EpochDone)[0].values
    assert {"validation/dice", "validation/dice/lesion", "validation/dice/cyst"} <= set(values)


@pytest.mark.slow
def test_lesions_of_phantoms_are_learnt(tmp_path: Path) -> None:
    data = write_data_set(tmp_path, count=120, size=64)
    config = finetune_config(
        epochs=25,
        image_size=64,
        batch_size=8,
        encoder={"embed_dim": 48, "depth": 2, "num_heads": 3},
        optimizer={"lr": 3e-3},
        layer_decay=1.0,
    )

    result = finetune(config, data, tmp_path / "out")

    assert result.metrics["validation/dice"] > 0.5
