"""The one door to the networks: fetches checkpoints, keeps the last used loaded, predicts.

Nothing of torch is imported before the first prediction, so a process that only takes jobs stays
small. One thread owns the device.
"""

import asyncio
import hashlib
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from amlp.imageio.image import MedicalImage
from service.errors import Conflict, NotFound, Unavailable
from service.models.tables import ModelVersion
from service.storage import Storage

if TYPE_CHECKING:
    from amlp.inference import Prediction, Predictor

_WEIGHTS = "weights.safetensors"
_FILES = (_WEIGHTS, "checkpoint.json")
_RETRY_SECONDS = 5  # by then the predictions under way have given their memory back

Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True)
class PredictionInput:
    """An image and the loaded network that shall see it."""

    predictor: "Predictor"
    image: MedicalImage


class Runner:
    """Loaded networks, least recently used first.

    Args:
        storage: where checkpoints lie.
        cache: folder for local copies.
        device: torch device, None for the best there is.
        max_loaded: networks kept in memory.
    """

    def __init__(
        self, storage: Storage, cache: Path, *, device: str | None, max_loaded: int
    ) -> None:
        self._storage = storage
        self._cache = cache
        self._device = device
        self._max_loaded = max_loaded
        self._loaded: OrderedDict[str, Predictor] = OrderedDict()
        self._loading = asyncio.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict")

    def find_loaded(self, version: ModelVersion) -> "Predictor | None":
        """Return the network of `version` if it is in memory."""
        predictor = self._loaded.get(version.id)
        if predictor is not None:
            self._loaded.move_to_end(version.id)
        return predictor

    async def load(self, version: ModelVersion) -> "Predictor":
        """Return the network of `version`, from memory or storage.

        Raises:
            Conflict: what is stored is not what was registered.
            CheckpointError: the checkpoint is damaged.
            Unavailable: the GPU has no room for it now.
        """
        async with self._loading:
            predictor = self.find_loaded(version)
            if predictor is None:
                folder = await asyncio.to_thread(self._fetch, version)
                predictor = await self._on_device(self._load, folder)
                self._loaded[version.id] = predictor
                while len(self._loaded) > self._max_loaded:
                    self._loaded.popitem(last=False)
                await asyncio.to_thread(self._remove_copies, keep=set(self._loaded))
        return predictor

    async def predict(
        self, _version_id: str, inputs: Sequence[PredictionInput]
    ) -> "Sequence[Prediction]":
        """Predict images that share one network.

        Raises:
            Unavailable: the GPU has no room for them now.
        """
        return await self._on_device(inputs[0].predictor.predict, [one.image for one in inputs])

    def close(self) -> None:
        """Wait for the running batch and let go of the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._loaded.clear()

    async def _on_device(self, compute: Callable[[Given], Result], given: Given) -> Result:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, compute, given)
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":  # torch's, which is not imported here
                raise
        # beyond the except clause: the error's traceback holds on to the tensors it failed with
        raise Unavailable(
            "the GPU has not enough free memory for this prediction now",
            code="gpu-out-of-memory",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        )

    def _load(self, folder: Path) -> "Predictor":
        from amlp.inference import Predictor  # noqa: PLC0415  (lazily: it imports torch)

        return Predictor.load(folder, device=self._device)

    def _remove_copies(self, *, keep: Set[str]) -> None:
        for copy in self._cache.iterdir():
            if copy.name not in keep:
                shutil.rmtree(copy, ignore_errors=True)

    def _fetch(self, version: ModelVersion) -> Path:
        """Return the local copy of a version's checkpoint, whose weights are those registered."""
        folder = self._cache / version.id
        if not _has_weights(folder, version):
            self._download(version, folder)
        return folder

    def _download(self, version: ModelVersion, folder: Path) -> None:
        self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=self._cache, prefix=".fetching-") as temporary:
            partial = Path(temporary) / "checkpoint"
            try:
                for name in _FILES:
                    self._storage.get_file(f"{version.key}/{name}", partial / name)
            except NotFound as error:
                raise _corrupt(version, "is gone from storage") from error
            if not _has_weights(partial, version):
                raise _corrupt(version, "has another digest than was registered")
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)


def _has_weights(folder: Path, version: ModelVersion) -> bool:
    path = folder / _WEIGHTS
    if not path.is_file():
        return False
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest == version.sha256.removeprefix("sha256:")


def _corrupt(version: ModelVersion, fault: str) -> Conflict:
    return Conflict(
        f"the checkpoint of {version.name}@{version.number} {fault}", code="checkpoint-corrupt"
    )
