"""One request from body to answer: receive, decode, check, queue, predict."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database import new_id
from service.errors import Fault, NotFound, Unavailable, Unprocessable
from service.models.registry import resolve
from service.models.tables import ModelVersion
from service.resources import Resources
from service.segmentation.batcher import Batcher
from service.segmentation.decoding import Decoded, Decoder
from service.segmentation.receiving import receive_image
from service.segmentation.results import Finished, StageSeconds, label_pixels
from service.segmentation.runner import PredictionInput, Runner
from service.validation import joined

SEGMENTER = "segmenter"


@dataclass(frozen=True)
class Outcome:
    """A finished prediction, and whether its model was in memory when asked for."""

    finished: Finished
    was_loaded: bool


class SegmentationDesk:
    """Everything a process needs to answer segmentation requests."""

    def __init__(self, resources: Resources) -> None:
        settings = resources.settings
        folder = settings.data_dir.resolve()
        self._resources = resources
        self._scratch = folder / "scratch"
        self._runner = Runner(
            resources.storage,
            folder / "cache" / "models",
            device=None if settings.device == "auto" else settings.device,
            max_loaded=settings.loaded_models,
        )
        self._batcher = Batcher(
            self._runner.predict,
            max_batch=settings.batch_max_size,
            max_delay_ms=settings.batch_max_delay_ms,
            max_waiting=settings.predict_queue_size,
        )
        self._decoder = Decoder(settings)
        self._in_flight = 0

    def start(self) -> None:
        """Begin to answer, in the running event loop."""
        self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._batcher.start()

    async def stop(self) -> None:
        """Stop; requests that still wait get `Unavailable`."""
        await self._batcher.stop()
        await asyncio.to_thread(self._runner.close)
        await asyncio.to_thread(self._decoder.close)

    async def segment(
        self, request: Request, tenant_id: str, reference: str | None, *, threshold: float | None
    ) -> Outcome:
        """Segment the image in the body of `request`.

        Args:
            request: raw image or form.
            tenant_id: whose models may be used.
            reference: the model; None for the only one there is.
            threshold: least probability of a class that is not background; None takes the most
                probable class.

        Raises:
            ServiceError: the request cannot be served.
            AmlpError: the image cannot be used.
        """
        with self._admitted():
            version = await asyncio.to_thread(self._find, tenant_id, reference)
            decoded, receive_s, decode_s = await self._read(request)
            predictor = self._runner.find_loaded(version)
            was_loaded = predictor is not None
            predictor = predictor or await self._runner.load(version)
            image = decoded.image.as_channels(predictor.channels)
            answer = await self._batcher.submit(version.id, PredictionInput(predictor, image))
        prediction = answer.result
        finished = Finished(
            segmentation_id=new_id("seg"),
            version=version,
            image=decoded.image,
            image_format=decoded.image_format,
            label_map=prediction.label_map
            if threshold is None
            else label_pixels(prediction.probabilities, threshold),
            probabilities=prediction.probabilities,
            label_names=predictor.label_names,
            threshold=threshold,
            seconds=StageSeconds(receive_s, decode_s, answer.queue_s, answer.forward_s),
            warnings=(*decoded.warnings, *image.warnings[len(decoded.image.warnings) :]),
        )
        return Outcome(finished, was_loaded)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Refuse at the door what would only wait: before its body is received and decoded."""
        limit = self._resources.settings.predict_queue_size
        if self._in_flight >= limit:
            raise Unavailable(
                f"{self._in_flight} predictions are under way, expected {limit} at most",
                code="queue-full",
                headers={"Retry-After": "1"},
            )
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def _find(self, tenant_id: str, reference: str | None) -> ModelVersion:
        with self._resources.database.read() as session:
            version = resolve(session, tenant_id, reference or _only_name(session, tenant_id))
        if version.kind != SEGMENTER:
            raise Unprocessable(
                f"model {version.name}@{version.number} is {version.kind}, expected {SEGMENTER}"
            )
        return version

    async def _read(self, request: Request) -> tuple[Decoded, float, float]:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            max_bytes = self._resources.settings.max_image_bytes
            received = await receive_image(request, Path(folder), max_bytes=max_bytes)
            is_received = time.perf_counter()
            decoded = await self._decoder.decode(received)
        return decoded, is_received - start, time.perf_counter() - is_received


def _only_name(session: Session, tenant_id: str) -> str:
    names = session.scalars(
        select(ModelVersion.name)
        .where(ModelVersion.tenant_id == tenant_id, ModelVersion.kind == SEGMENTER)
        .distinct()
        .order_by(ModelVersion.name)
    ).all()
    if not names:
        raise NotFound("there is no segmenter yet; fine-tune one with a job")
    if len(names) > 1:
        fault = Fault("/model", f"expected one of {joined(names)}")
        raise Unprocessable(f"{len(names)} segmenters exist; name one with `model`", faults=[fault])
    return names[0]
