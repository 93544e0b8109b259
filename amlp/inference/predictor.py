"""A trained segmenter, ready to use: `MedicalImage` in, label map and probabilities out."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from amlp.checkpoint import CheckpointInfo, load_weights, read_info, read_weights
from amlp.config import FinetuneConfig, parse_run_config
from amlp.errors import CheckpointError, ConfigError
from amlp.imageio import MedicalImage
from amlp.inference.segment import segment_slices
from amlp.models import build_segmenter
from amlp.precision import Precision, autocast

_MAX_PIXELS_AT_ONCE = 1 << 24  # of probabilities kept on the device while slices are resized back


@dataclass(frozen=True)
class Prediction:
    """What the network says of one image, on the image's own grid.

    Attributes:
        label_map: (z, y, x), the most likely class of each pixel.
        probabilities: (k, z, y, x), background first; they add up to 1.
        seconds: time by stage, `network` and `total`; an image's share of its call.
    """

    label_map: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    seconds: Mapping[str, float]


class Predictor:
    """A segmenter on a device.

    Attributes:
        info: the checkpoint's provenance.
        device: where it computes.
    """

    def __init__(
        self,
        network: nn.Module,
        info: CheckpointInfo,
        *,
        device: torch.device,
        precision: Precision = "auto",
    ) -> None:
        self.info = info
        self.device = device
        self._config = _segmenter_config(info)
        self._network = network.to(device).eval()
        self._precision: Precision = precision

    @classmethod
    def load(
        cls, checkpoint: Path, *, device: str | None = None, precision: Precision = "auto"
    ) -> "Predictor":
        """Load a segmenter's checkpoint folder.

        Args:
            checkpoint: folder with `checkpoint.json` and `weights.safetensors`.
            device: such as `cpu` or `cuda:1`; the first GPU where there is one if None.
            precision: number format of the network.

        Raises:
            CheckpointError: it is damaged, or holds no segmenter.
        """
        info = read_info(checkpoint)
        config, architecture = _segmenter_config(info), info.architecture
        network = build_segmenter(config, architecture.channels, len(architecture.label_names))
        load_weights(network, read_weights(checkpoint, info))
        chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(network, info, device=torch.device(chosen), precision=precision)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes, from background on."""
        return self.info.architecture.label_names

    @property
    def channels(self) -> int:
        """Channels an image must have."""
        return self.info.architecture.channels

    def predict(self, images: Sequence[MedicalImage], *, batch_size: int = 16) -> list[Prediction]:
        """Segment images; slices of images of one size share forward passes.

        Raises:
            GeometryMismatch: an image has another number of channels than the network.
        """
        fitting = [image.as_channels(self.channels) for image in images]
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(fitting):
            by_size.setdefault(image.size, []).append(index)
        predictions: dict[int, Prediction] = {}
        for indices in by_size.values():
            found = self._predict_one_size([fitting[index] for index in indices], batch_size)
            predictions |= dict(zip(indices, found, strict=True))
        return [predictions[index] for index in range(len(images))]

    def _predict_one_size(
        self, images: Sequence[MedicalImage], batch_size: int
    ) -> list[Prediction]:
        start = time.perf_counter()
        slices = np.concatenate([image.pixels.transpose(1, 0, 2, 3) for image in images])
        height, width = images[0].size
        at_once = max(1, _MAX_PIXELS_AT_ONCE // (height * width * len(self.label_names)))
        network_seconds, parts = 0.0, []
        for first in range(0, len(slices), at_once):
            chunk = torch.from_numpy(slices[first : first + at_once].astype(np.float32))
            began = time.perf_counter()
            parts.append(self._segment(chunk, batch_size).cpu())
            network_seconds += time.perf_counter() - began
        probabilities = torch.cat(parts)  # (slices of all images, k, h, w)
        labels = probabilities.argmax(1).to(torch.uint8).numpy()
        seconds = {"network": network_seconds, "total": time.perf_counter() - start}
        share = {stage: value / len(images) for stage, value in seconds.items()}
        ends = np.cumsum([image.num_slices for image in images])[:-1]
        by_class = probabilities.numpy().transpose(1, 0, 2, 3)
        return [
            Prediction(label_map, np.ascontiguousarray(part), share)
            for label_map, part in zip(
                np.split(labels, ends), np.split(by_class, ends, axis=1), strict=True
            )
        ]

    @torch.inference_mode()
    def _segment(self, images: Tensor, batch_size: int) -> Tensor:
        with autocast(self._precision, self.device):
            return segment_slices(
                self._network,
                images.to(self.device),
                config=self._config.inference,
                image_size=self._config.image_size,
                batch_size=batch_size,
            )


def _segmenter_config(info: CheckpointInfo) -> FinetuneConfig:
    try:
        config = parse_run_config(info.config)
    except ConfigError as error:
        raise CheckpointError(f"the checkpoint's config is not sound: {error}") from error
    if info.kind != "segmenter" or not isinstance(config, FinetuneConfig):
        raise CheckpointError(f"the checkpoint is of kind {info.kind}, expected segmenter")
    if len(info.architecture.label_names) < 2:
        raise CheckpointError("the checkpoint names no class beside the background")
    return config
