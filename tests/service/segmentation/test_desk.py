"""From a request to a prediction: admission and the choice of the model."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from fastapi import Request
from PIL import Image

from service.errors import NotFound, Unavailable, Unprocessable
from service.models.tables import ModelVersion
from service.resources import Resources
from service.segmentation.desk import SegmentationDesk

Add = Callable[..., ModelVersion]


def request(*, delay_s: float = 0.0) -> Request:
    cells = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
    buffer = BytesIO()
    Image.fromarray(cells).save(buffer, format="PNG")

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(delay_s)
        return {"type": "http.request", "body": buffer.getvalue(), "more_body": False}

    return Request({"type": "http", "headers": [(b"content-type", b"image/png")]}, receive)


def segment(
    resources: Resources, *requests: Request, reference: str | None = None, tenant: str = "default"
) -> list[Any]:
    async def main() -> list[Any]:
        desk = SegmentationDesk(resources)
        desk.start()
        try:
            calls = [desk.segment(one, tenant, reference, threshold=None) for one in requests]
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await desk.stop()

    return asyncio.run(main())


def test_requests_side_by_side_get_equal_answers(resources: Resources, add_segmenter: Add):
    add_segmenter()

    outcomes = segment(resources, *(request() for _ in range(5)))

    first = outcomes[0].finished.label_map
    assert all((one.finished.label_map == first).all() for one in outcomes)


def test_more_than_fit_are_refused_before_their_body_is_read(
    resources: Resources, add_segmenter: Add
):
    add_segmenter()
    settings = resources.settings.model_copy(update={"predict_queue_size": 2})
    small = Resources(settings, resources.database, resources.storage, resources.queue)

    outcomes = segment(small, *(request(delay_s=0.2) for _ in range(3)))

    assert [type(one) for one in outcomes].count(Unavailable) == 1
    assert outcomes[2].headers["Retry-After"] == "1"


def test_the_only_segmenter_is_the_default(resources: Resources, add_segmenter: Add):
    version = add_segmenter()
    add_segmenter("encoder", kind="pretrained")

    (outcome,) = segment(resources, request())

    assert outcome.finished.version.id == version.id


@pytest.mark.parametrize(
    ("reference", "tenant", "error"),
    [
        ("liver", "default", NotFound),
        ("lesions", "other", NotFound),
        (None, "other", NotFound),
        ("encoder", "default", Unprocessable),
    ],
)
def test_what_cannot_predict_is_refused(
    resources: Resources,
    add_segmenter: Add,
    reference: str | None,
    tenant: str,
    error: type[Exception],
):
    add_segmenter()
    add_segmenter("encoder", kind="pretrained")

    (refusal,) = segment(resources, request(), reference=reference, tenant=tenant)

    assert isinstance(refusal, error)
