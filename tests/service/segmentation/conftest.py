"""A finished prediction to encode, and a real, tiny segmenter registered as a model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from amlp.checkpoint import Architecture, CheckpointInfo, current_versions, write_checkpoint
from amlp.config import EncoderConfig, FinetuneConfig, LinearHeadConfig
from amlp.imageio.image import MedicalImage
from amlp.models import build_segmenter
from service.models.registry import NewVersion, register
from service.models.tables import ModelVersion
from service.resources import Resources
from service.segmentation.results import Finished, StageSeconds


def write_segmenter(folder: Path, *, channels: int = 1, seed: int = 0) -> tuple[Path, str]:
    """Write a segmenter of two layers with random weights; return its folder and digest."""
    torch.manual_seed(seed)
    config = FinetuneConfig(
        image_size=32,
        patch_size=8,
        encoder=EncoderConfig(embed_dim=32, depth=2, num_heads=2),
        head=LinearHeadConfig(),
    )
    labels = ("background", "lesion")
    network = build_segmenter(config, channels, len(labels))
    info = CheckpointInfo(
        kind="segmenter",
        step=1,
        epoch=1,
        config=config.model_dump(mode="json"),
        architecture=Architecture(
            image_size=config.image_size,
            patch_size=config.patch_size,
            channels=channels,
            encoder=config.encoder,
            head=config.head,
            inference=config.inference,
            label_names=labels,
        ),
        dataset_digest="sha256:" + "0" * 64,
        seed=seed,
        versions=current_versions(),
    )
    path, completed = write_checkpoint(folder, info, weights=network.state_dict(), state={})
    return path, completed.sha256


@pytest.fixture
def add_segmenter(resources: Resources, tmp_path: Path) -> Callable[..., ModelVersion]:
    """Store and register a segmenter under a name."""

    def add(
        name: str = "lesions",
        *,
        channels: int = 1,
        kind: str = "segmenter",
        tenant: str = "default",
    ) -> ModelVersion:
        path, sha256 = write_segmenter(tmp_path / "checkpoints" / name, channels=channels)
        key = f"jobs/job_{name}_{tenant}/e1/model"
        for file in ("weights.safetensors", "checkpoint.json"):
            resources.storage.put_file(f"{key}/{file}", path / file)
        with resources.database.write() as session:
            return register(
                session,
                NewVersion(
                    tenant_id=tenant,
                    name=name,
                    kind=kind,
                    key=key,
                    sha256=sha256,
                    card={},
                    metrics={},
                    job_id=f"job_{name}",
                    dataset_version_id="dsv_1",
                    dataset_digest="sha256:" + "0" * 64,
                    parent_id=None,
                ),
            )

    return add


@pytest.fixture
def make_finished() -> Callable[..., Finished]:
    """Make a finished prediction from a label map (z, y, x)."""

    def make(
        label_map: np.ndarray,
        *,
        label_names: tuple[str, ...] = ("background", "lesion"),
        image_format: str = "png",
        **facts: object,
    ) -> Finished:
        labels = label_map.astype(np.uint8)
        classes = np.arange(len(label_names))[:, None, None, None]
        return Finished(
            segmentation_id="seg_1",
            version=ModelVersion(
                id="mdl_1",
                name="lesions",
                number=2,
                sha256="a" * 64,
                job_id="job_1",
                dataset_digest="sha256:b",
            ),
            image=MedicalImage(np.full((1, *labels.shape), 100, np.uint8), **facts),
            image_format=image_format,
            label_map=labels,
            probabilities=np.where(labels == classes, 0.75, 0.25).astype(np.float32),
            label_names=label_names,
            threshold=None,
            seconds=StageSeconds(0.1, 0.2, 0.3, 0.4),
            warnings=(),
        )

    return make
