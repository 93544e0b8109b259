"""Verb 2: a segmenter from a pretrained encoder, where there is one, and some label maps."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from amlp.checkpoint import (
    CHECKPOINTS_NAME,
    Architecture,
    CheckpointInfo,
    best_checkpoint,
    current_versions,
    find_checkpoint,
    list_checkpoints,
    read_info,
    read_weights,
)
from amlp.config import FinetuneConfig, parse_run_config
from amlp.data import (
    Batch,
    Dataset,
    Stack,
    Stream,
    derive_seed,
    labelled_source,
    labelled_stacks,
    largest_lesion_slice,
)
from amlp.engine import (
    Losses,
    Moment,
    Processes,
    RunResult,
    Task,
    Trainer,
    build_optimizer,
    cached_dataset,
    processes,
    write_sheet,
)
from amlp.errors import ConfigError, GeometryMismatch
from amlp.events import Listener, Note, SilentListener
from amlp.imageio import draw_overlay
from amlp.inference import segment_slices
from amlp.losses.segmentation import build_segmentation_loss
from amlp.manifest import Case
from amlp.metrics import confusion_counts, dice
from amlp.models import Segmenter, build_segmenter, load_encoder, num_logits

_BEST_METRIC = "validation/dice"
_NUM_PICTURED = 6
_ENCODER_PREFIX = "encoder."


def finetune(
    config: FinetuneConfig,
    data: Path,
    out: Path,
    listener: Listener | None = None,
    *,
    init: Path | None = None,
) -> RunResult:
    """Train a segmenter on the labelled cases of `data`; continue where `out` holds a started run.

    Args:
        config: the run; a pretrained encoder's shape and patch size replace its own.
        data: data set folder.
        out: the run's folder.
        listener: hears the run's events.
        init: checkpoint (or run folder) whose encoder to start from; from scratch if None.

    Returns:
        The checkpoint with the best Dice on the validation split, or the last without one.

    Raises:
        DataError: no label maps, no lesion in any of them, or channels differ from the encoder's.
        CheckpointError: `init` is damaged, or `out` holds another run or only damaged checkpoints.
        Cancelled: the listener asked to stop; the same call continues.
        Diverged: the loss became non-finite.
        StorageFull: no space for a checkpoint.
    """
    listener = listener or SilentListener()
    with processes() as team:
        dataset = cached_dataset(data, out, processes=team, listener=listener)
        parent = None if init is None else find_checkpoint(init)
        config = config if parent is None else _adopt_encoder(config, read_info(parent), dataset)
        task = _task(config, dataset, parent, team=team, listener=listener)
        Trainer(task, config, out=out, listener=listener, processes=team).run()
    folder = out / CHECKPOINTS_NAME
    result = best_checkpoint(folder, _BEST_METRIC) or list_checkpoints(folder)[-1]
    return RunResult(result, read_info(result).metrics)


def _task(
    config: FinetuneConfig,
    dataset: Dataset,
    parent: Path | None,
    *,
    team: Processes,
    listener: Listener,
) -> Task:
    train = dataset.manifest.of_split("train", labelled=True)
    validation = dataset.manifest.of_split("validation", labelled=True)
    if not validation and team.is_first:
        listener.on_event(Note("no labelled validation split: the last checkpoint is the result"))
    source = labelled_source(dataset, train, config, device=team.device)
    stacks = labelled_stacks(dataset, validation, config) if team.is_first else []
    network = _network(config, dataset, parent).to(team.device)
    optimizer = build_optimizer(
        network, config.optimizer, layer_decay=config.layer_decay, depth=config.encoder.depth
    )
    pictured = validation or train
    return Task(
        network=network,
        optimizer=optimizer,
        source=source,
        losses=_losses(config, dataset.manifest.num_classes),
        info=_info(config, dataset, parent),
        validate=lambda: _validate(network, config, stacks, dataset),
        draw=lambda path: _draw(path, network, config, dataset=dataset, cases=pictured),
        picture="segmentation",
        best_metric=_BEST_METRIC,
    )


def _losses(config: FinetuneConfig, num_classes: int) -> Losses:
    loss = build_segmentation_loss(config.loss, num_logits=num_logits(num_classes))

    def losses(network: nn.Module, batch: Batch, _: Moment) -> dict[str, Tensor]:
        return {"loss/total": loss(network(batch.images), batch.labels)}

    return losses


def _adopt_encoder(
    config: FinetuneConfig, parent: CheckpointInfo, dataset: Dataset
) -> FinetuneConfig:
    """Return the config with the encoder and patch size of the checkpoint it starts from."""
    shape, channels = parent.architecture, dataset.manifest.channels
    if shape.channels != channels:
        raise GeometryMismatch(
            f"the encoder was trained on images of {shape.channels} channels, "
            f"those of the data set have {channels}"
        )
    values = config.model_dump(mode="json")
    values |= {"encoder": shape.encoder.model_dump(mode="json"), "patch_size": shape.patch_size}
    adopted = parse_run_config(values)
    if not isinstance(adopted, FinetuneConfig):
        raise ConfigError(f"config is of kind {adopted.kind}, expected finetune")
    return adopted


def _network(config: FinetuneConfig, dataset: Dataset, parent: Path | None) -> Segmenter:
    torch.manual_seed(derive_seed(config.seed, Stream.WEIGHTS))
    manifest = dataset.manifest
    network = build_segmenter(config, manifest.channels, manifest.num_classes)
    if parent is not None:
        weights = read_weights(parent, read_info(parent))
        inside = {
            name.removeprefix(_ENCODER_PREFIX): tensor
            for name, tensor in weights.items()
            if name.startswith(_ENCODER_PREFIX)
        }
        load_encoder(network.encoder, inside)
    return network


def _info(config: FinetuneConfig, dataset: Dataset, parent: Path | None) -> CheckpointInfo:
    return CheckpointInfo(
        kind="segmenter",
        step=0,
        epoch=0,
        config=config.model_dump(mode="json"),
        architecture=Architecture(
            image_size=config.image_size,
            patch_size=config.patch_size,
            channels=dataset.manifest.channels,
            encoder=config.encoder,
            head=config.head,
            inference=config.inference,
            label_names=dataset.manifest.label_names,
        ),
        dataset_digest=dataset.manifest.digest,
        seed=config.seed,
        versions=current_versions(),
        parent_sha256=None if parent is None else read_info(parent).sha256,
    )


def _validate(
    network: Segmenter, config: FinetuneConfig, stacks: Sequence[Stack], dataset: Dataset
) -> Mapping[str, float]:
    """Return the mean Dice per case and foreground class on the validation split."""
    if not stacks:
        return {}
    num_classes = dataset.manifest.num_classes
    num_cases = 1 + max(int(stack.case_index.max()) for stack in stacks)
    counts = torch.zeros(num_cases, num_classes - 1, 3, dtype=torch.int64)
    for stack in stacks:
        labels = _predict(network, config, stack.images)
        found = confusion_counts(labels, stack.masks, num_classes=num_classes)
        counts.index_add_(0, stack.case_index, found)
    per_class = dice(counts).mean(0)
    values = {_BEST_METRIC: float(per_class.mean())}
    if num_classes > 2:
        names = dataset.manifest.label_names[1:]
        values |= {
            f"{_BEST_METRIC}/{name}": float(value)
            for name, value in zip(names, per_class, strict=True)
        }
    return values


def _predict(network: Segmenter, config: FinetuneConfig, images: Tensor) -> Tensor:
    probabilities = segment_slices(
        network,
        images.to(network.encoder.cls_token.device).float(),
        config=config.inference,
        image_size=config.image_size,
        batch_size=config.batch_size,
    )
    return probabilities.argmax(1).to(torch.uint8).cpu()


def _draw(
    path: Path,
    network: Segmenter,
    config: FinetuneConfig,
    *,
    dataset: Dataset,
    cases: Sequence[Case],
) -> None:
    """Draw input, truth and prediction of a few cases, the same ones each time."""
    rows = []
    for number in np.unique(np.linspace(0, len(cases) - 1, _NUM_PICTURED).round().astype(int)):
        image, truth = largest_lesion_slice(dataset, cases[number])
        labels = _predict(network, config, torch.from_numpy(image)[None])[0].numpy()
        shown = (np.zeros_like(truth), truth, labels)
        rows.append([draw_overlay(image, label_map) for label_map in shown])
    write_sheet(path, rows, titles=("input", "truth", "prediction"))
