"""The one door to the networks: fetching, verifying, keeping."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from amlp.errors import CheckpointError
from amlp.imageio.image import MedicalImage
from service.errors import Conflict, Unavailable
from service.models.tables import ModelVersion
from service.resources import Resources
from service.segmentation.runner import PredictionInput, Runner

Add = Callable[..., ModelVersion]


@pytest.fixture
def runner(resources: Resources, tmp_path: Path) -> Iterator[Runner]:
    opened = Runner(resources.storage, tmp_path / "cache", device="cpu", max_loaded=2)
    yield opened
    opened.close()


def test_a_loaded_network_predicts_on_the_grid_of_the_image(runner: Runner, add_segmenter: Add):
    version = add_segmenter()
    image = MedicalImage(np.zeros((1, 1, 40, 50), np.uint8))

    async def predict():
        predictor = await runner.load(version)
        return await runner.predict(version.id, [PredictionInput(predictor, image)])

    (prediction,) = asyncio.run(predict())

    assert prediction.label_map.shape == (1, 40, 50)
    assert prediction.probabilities.shape == (2, 1, 40, 50)


def test_a_network_is_loaded_once(runner: Runner, add_segmenter: Add):
    version = add_segmenter()

    async def load_together():
        return await asyncio.gather(*(runner.load(version) for _ in range(5)))

    predictors = asyncio.run(load_together())

    assert all(predictor is predictors[0] for predictor in predictors)


def test_the_least_recently_used_network_is_dropped(runner: Runner, add_segmenter: Add):
    first, second, third = (add_segmenter(name) for name in ("a", "b", "c"))

    async def load_in_turn():
        await runner.load(first)
        await runner.load(second)
        runner.find_loaded(first)
        await runner.load(third)

    asyncio.run(load_in_turn())

    assert runner.find_loaded(first) is not None
    assert runner.find_loaded(second) is None


def test_weights_that_were_changed_in_storage_are_refused(
    runner: Runner, add_segmenter: Add, resources: Resources
):
    version = add_segmenter()
    key = f"{version.key}/weights.safetensors"
    content = bytearray(resources.storage.get_bytes(key))
    content[-1] ^= 1
    resources.storage.put_bytes(key, bytes(content))

    with pytest.raises(Conflict, match="digest"):
        asyncio.run(runner.load(version))


def test_weights_that_are_gone_are_a_conflict(
    runner: Runner, add_segmenter: Add, resources: Resources
):
    version = add_segmenter()
    resources.storage.delete([f"{version.key}/weights.safetensors"])

    with pytest.raises(Conflict, match="gone"):
        asyncio.run(runner.load(version))


def test_a_checkpoint_that_says_something_else_is_refused(
    runner: Runner, add_segmenter: Add, resources: Resources
):
    version = add_segmenter()
    resources.storage.put_bytes(f"{version.key}/checkpoint.json", b"{}")

    with pytest.raises(CheckpointError):
        asyncio.run(runner.load(version))


def test_a_damaged_local_copy_is_fetched_again(runner: Runner, add_segmenter: Add, tmp_path: Path):
    version = add_segmenter()
    copy = tmp_path / "cache" / version.id / "weights.safetensors"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"cut short")

    predictor = asyncio.run(runner.load(version))

    assert predictor.label_names == ("background", "lesion")


class FullDevice:
    """A network on a GPU without memory: what cannot be had in a test."""

    def __init__(self, error: Exception):
        self.error = error

    def predict(self, images: list[MedicalImage]):
        raise self.error


def predict_on(runner: Runner, device: FullDevice):
    image = MedicalImage(np.zeros((1, 1, 8, 8), np.uint8))
    asyncio.run(runner.predict("mdl_1", [PredictionInput(device, image)]))


def test_full_gpu_is_not_available_now(runner: Runner):
    with pytest.raises(Unavailable) as caught:
        predict_on(runner, FullDevice(torch.OutOfMemoryError("CUDA out of memory")))

    assert caught.value.code == "gpu-out-of-memory"
    assert caught.value.headers == {"Retry-After": "5"}
    assert caught.value.__context__ is None  # its traceback would hold the batch's tensors


def test_other_errors_of_the_device_are_passed_on(runner: Runner):
    with pytest.raises(RuntimeError, match="launch failure"):
        predict_on(runner, FullDevice(RuntimeError("launch failure")))


def test_local_copies_that_nobody_has_loaded_are_removed(
    runner: Runner, add_segmenter: Add, tmp_path: Path
):
    (tmp_path / "cache" / "mdl_before_the_restart").mkdir(parents=True)

    version = add_segmenter()
    asyncio.run(runner.load(version))

    assert [copy.name for copy in (tmp_path / "cache").iterdir()] == [version.id]
