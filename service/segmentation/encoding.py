"""A finished prediction as the bytes of the form the client chose."""

import tempfile
import time
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, assert_never

import numpy as np
from PIL import Image

from amlp.imageio.masks import LabelMap
from amlp.imageio.overlay import draw_overlay
from amlp.imageio.writer import write_label_map
from service.segmentation.negotiation import Output
from service.segmentation.results import Finished, describe
from service.segmentation.schemas import Include


class Encoded(NamedTuple):
    """Bytes, what they are, and how long it took to make them."""

    body: bytes
    media_type: str
    seconds: float


def encode(
    finished: Finished, output: Output, *, slice_index: int, include: Collection[Include]
) -> Encoded:
    """Return `finished` in the form `output`.

    Args:
        finished: the prediction.
        output: the form.
        slice_index: the slice a picture shows.
        include: what JSON holds beside measurements.
    """
    start = time.perf_counter()
    match output:
        case Output.JSON:
            body = _json(finished, include, start)
        case Output.COCO_RLE:
            body = _json(finished, {*include, "coco_rle"}, start)
        case Output.POLYGONS:
            body = _json(finished, {*include, "polygons"}, start)
        case Output.MASK:
            body = _png(Image.fromarray(finished.label_map[slice_index]))
        case Output.OVERLAY:
            pixels = finished.image.pixels[:, slice_index]
            body = _png(Image.fromarray(draw_overlay(pixels, finished.label_map[slice_index])))
        case Output.NIFTI:
            body = _nifti(finished)
        case _:
            assert_never(output)
    return Encoded(body, str(output), time.perf_counter() - start)


def _json(finished: Finished, include: Collection[Include], start: float) -> bytes:
    answer = describe(finished, include)
    answer.timings_s.encode = time.perf_counter() - start
    return answer.model_dump_json().encode()


def _png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _nifti(finished: Finished) -> bytes:
    """Return the label map on the image's grid, `sform_code` 1, gzipped.

    A picture has no place in a patient: it lies at the origin, as large as it is known to be.
    """
    image = finished.image
    affine = image.affine
    if affine is None:
        affine = np.diag([*(image.spacing_mm or (1.0, 1.0, 1.0))[::-1], 1.0])
    with tempfile.TemporaryDirectory() as folder:
        label_map = LabelMap(finished.label_map, image.spacing_mm, affine)
        return write_label_map(label_map, Path(folder), "segmentation").read_bytes()
