"""Verb 1: masked image modelling with AMLP's four parts, in the order of the paper.

The method's equations and how far they are ours: docs/method.md.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from amlp.checkpoint import (
    CHECKPOINTS_NAME,
    Architecture,
    CheckpointInfo,
    current_versions,
    list_checkpoints,
    read_info,
)
from amlp.config import PretrainConfig, RandomMaskingConfig
from amlp.data import (
    Batch,
    Dataset,
    ResizedSource,
    Samples,
    Stream,
    derive_seed,
    load_samples,
    resize_images,
    standardise,
    stored_resolution,
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
    category_diagnostics,
    difficulty_diagnostics,
    mask_diagnostics,
    mask_generator,
    processes,
    write_reconstruction_sheet,
)
from amlp.errors import EmptyDataset
from amlp.events import Listener, Note, SilentListener
from amlp.losses import (
    attention_reconstruction_loss,
    attention_weights,
    category_consistency_loss,
    category_targets,
    difficulty_categories,
    normalize_patches,
    patch_errors,
)
from amlp.manifest import SPLITS
from amlp.masking import build_masking, masking_ratio, num_masked
from amlp.models import MaskedAutoencoder, build_mae
from amlp.patches import PatchMask

_FEWEST_UPDATES = 2000
_NUM_PICTURED = 6


def pretrain(
    config: PretrainConfig, data: Path, out: Path, listener: Listener | None = None
) -> RunResult:
    """Pretrain an encoder on the images of `data`; continue where `out` holds a started run.

    Raises:
        DataError: the data set cannot be used.
        CheckpointError: `out` holds another run, or only damaged checkpoints.
        Cancelled: the listener asked to stop; the same call continues.
        Diverged: the loss became non-finite.
        StorageFull: no space for a checkpoint.
    """
    listener = listener or SilentListener()
    with processes() as team:
        dataset = cached_dataset(data, out, processes=team, listener=listener)
        source = _source(config, dataset, team.device)
        _advise(config, len(source), team, listener)
        torch.manual_seed(derive_seed(config.seed, Stream.WEIGHTS))
        network = build_mae(config, dataset.manifest.channels).to(team.device)
        task = Task(
            network=network,
            optimizer=build_optimizer(network, config.optimizer),
            source=source,
            losses=_losses(config),
            info=_info(config, dataset),
            validate=dict,
            draw=lambda path: _draw(path, config, network=network, samples=source.samples),
            picture="reconstruction",
        )
        Trainer(task, config, out=out, listener=listener, processes=team).run()
    newest = list_checkpoints(out / CHECKPOINTS_NAME)[-1]
    return RunResult(newest, read_info(newest).metrics)


def _losses(config: PretrainConfig) -> Losses:
    """Return the method: masks, reconstruction and losses of one batch."""
    masking = build_masking(config.masking, config.patch_size)
    num_patches = (config.image_size // config.patch_size) ** 2

    def losses(network: nn.Module, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        images, progress = batch.images, moment.progress
        ratio = masking_ratio(config.ratio, moment.epoch, moment.num_epochs)
        count = num_masked(ratio, num_patches, config.mask_count)
        generator = mask_generator(
            config.seed, step=moment.step, rank=moment.rank, device=images.device
        )
        mask = masking(images, count, generator)
        output = network(images, mask.masked, count)
        targets = normalize_patches(output.targets) if config.norm_pix_loss else output.targets
        errors = patch_errors(output.reconstruction, targets)
        reconstruction = attention_reconstruction_loss(
            errors, config.attention_reconstruction, progress
        )
        values = {"loss/total": reconstruction, "loss/reconstruction": reconstruction}
        lesion, score = (part.gather(1, output.indices) for part in (mask.lesion, mask.score))
        if output.category_logits is not None:
            consistency = config.category_consistency
            categories = category_targets(errors, lesion, score, consistency, progress)
            agreement = category_consistency_loss(output.category_logits, categories, consistency)
            values["loss/category_consistency"] = agreement
            values["loss/total"] = reconstruction + consistency.weight * agreement
        return values | _watched(config, mask, errors, lesion, output.category_logits, moment)

    return losses


@torch.no_grad()
def _watched(
    config: PretrainConfig,
    mask: PatchMask,
    errors: Tensor,
    lesion: Tensor,
    logits: Tensor | None,
    moment: Moment,
) -> dict[str, Tensor]:
    """Return what is logged beside the losses; `lesion` and `logits` are of the masked patches."""
    weights = attention_weights(errors, config.attention_reconstruction, moment.progress)
    ratio = errors.new_full((), errors.shape[1] / mask.masked.shape[1])
    values = {"mask_ratio": ratio, **mask_diagnostics(mask)}
    values |= difficulty_diagnostics(errors, lesion, weights)
    if logits is not None:
        temperature = config.category_consistency.temperature
        hard = difficulty_categories(errors, lesion, temperature)
        values |= category_diagnostics(logits, hard, lesion)
    return values


def _source(config: PretrainConfig, dataset: Dataset, device: torch.device) -> ResizedSource:
    splits = SPLITS if config.transductive else SPLITS[:1]
    cases = dataset.manifest.of_split(*splits)
    if not cases:
        raise EmptyDataset("the data set has no case in its train split, expected at least one")
    samples = load_samples(
        dataset,
        cases,
        resolution=stored_resolution(config.image_size),
        labelled=False,
        drop_flat=True,
    )
    unrotated = config.augmentation.model_copy(update={"rotation_degrees": 0.0})
    return ResizedSource(samples.on(device), unrotated, config.image_size)


def _advise(config: PretrainConfig, num_images: int, team: Processes, listener: Listener) -> None:
    if not team.is_first:
        return
    batch_size = min(config.batch_size, num_images)
    num_updates = config.schedule.epochs * (num_images // batch_size)
    if num_updates < _FEWEST_UPDATES:
        listener.on_event(
            Note(
                f"{num_updates} updates are planned, fewer than {_FEWEST_UPDATES}: enough to see "
                "the line at work; 300 updates hurt, 3000 helped in our measurement"
            )
        )
    if config.transductive:
        listener.on_event(
            Note("transductive: validation and test images are used; evaluation on them is biased")
        )
    if isinstance(config.masking, RandomMaskingConfig) and config.category_consistency.weight:
        listener.on_event(
            Note(
                "random masking tells no categories apart: the category head learns difficulty "
                "alone; for random masks with categories use masked_patch_selection with beta 0"
            )
        )


def _info(config: PretrainConfig, dataset: Dataset) -> CheckpointInfo:
    return CheckpointInfo(
        kind="pretrained",
        step=0,
        epoch=0,
        config=config.model_dump(mode="json"),
        architecture=Architecture(
            image_size=config.image_size,
            patch_size=config.patch_size,
            channels=dataset.manifest.channels,
            encoder=config.encoder,
        ),
        dataset_digest=dataset.manifest.digest,
        seed=config.seed,
        versions=current_versions(),
    )


def _draw(
    path: Path, config: PretrainConfig, *, network: MaskedAutoencoder, samples: Samples
) -> None:
    """Draw the same few images each time, under the mask of the last epoch's ratio."""
    chosen = np.unique(np.linspace(0, len(samples) - 1, _NUM_PICTURED).round().astype(int))
    stored = samples.images[torch.from_numpy(chosen).to(samples.images.device)]
    size = (config.image_size, config.image_size)
    images = standardise(resize_images(stored.to(network.encoder.cls_token.device).float(), size))
    epochs = config.schedule.epochs
    count = num_masked(
        masking_ratio(config.ratio, epochs - 1, epochs), network.encoder.grid.num_patches
    )
    masking = build_masking(config.masking, config.patch_size)
    generator = mask_generator(config.seed, step=0, rank=0, device=images.device)
    mask = masking(images, count, generator)
    write_reconstruction_sheet(path, network, images, mask, norm_pix=config.norm_pix_loss)
