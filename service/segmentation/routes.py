"""`/segment`: an image in, its segmentation out in the form that `Accept` asks for."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.auth.dependencies import Principal, require
from service.errors import Conflict, Fault, NotAcceptable, StorageExhausted, Unprocessable
from service.models.registry import REFERENCE_PATTERN
from service.problems import PROBLEM_RESPONSES, problem_responses
from service.segmentation.decoding import MEDIA_TYPES
from service.segmentation.desk import Outcome, SegmentationDesk
from service.segmentation.encoding import Encoded, encode
from service.segmentation.metrics import PREDICT_DURATION
from service.segmentation.negotiation import Output, choose_output
from service.segmentation.receiving import FIELD
from service.segmentation.results import Finished
from service.segmentation.schemas import Include, Segmentation

router = APIRouter(tags=["segmentation"])

_INCLUDES: tuple[Include, ...] = ("coco_rle", "polygons")
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": [FIELD],
        "properties": {FIELD: {"type": "string", "format": "binary"}},
    }
}
_DOCUMENTED: dict[str, Any] = {
    "response_model": Segmentation,
    "responses": {
        **PROBLEM_RESPONSES,
        **problem_responses(NotAcceptable, Conflict, StorageExhausted),
        200: {
            "description": "The segmentation, in the form `Accept` asks for",
            "content": {str(output): _BINARY for output in Output if "json" not in output},
        },
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "description": "One image; its bytes decide what it is, not its declared type",
            "content": {"multipart/form-data": _FORM, **dict.fromkeys(MEDIA_TYPES, _BINARY)},
        }
    },
}

Predicting = Annotated[Principal, require("predict:run")]


class Options(BaseModel):
    """How to segment, from the address."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Least probability of a class; without it the most probable class wins",
    )
    slice: int | None = Field(
        None, ge=0, lt=2**31, description="Slice of a volume that a PNG shows, from 0"
    )
    include: str = Field(
        "",
        pattern=r"^((coco_rle|polygons)(,(coco_rle|polygons))*)?$",
        description="What JSON holds beside measurements: coco_rle, polygons, or both with a comma",
    )


class OptionsWithModel(Options):
    """The same, with the model."""

    model: str | None = Field(
        None,
        pattern=REFERENCE_PATTERN,
        description="name, name@3, name@alias or an id; may be left out where only one exists",
        examples=["breast-lesions@champion"],
    )


@router.post("/v1/segment", summary="Segment an image", **_DOCUMENTED)
@router.post("/segment", summary="Segment an image (short address)", **_DOCUMENTED)
async def segment(
    request: Request, options: Annotated[OptionsWithModel, Query()], principal: Predicting
) -> Response:
    """Segment one PNG, JPEG, TIFF, BMP, DICOM or NIfTI image."""
    return await _answer(request, principal, options.model, options)


@router.post(
    "/v1/models/{name}/segment", summary="Segment an image with a named model", **_DOCUMENTED
)
async def segment_with(
    name: Annotated[str, Path(pattern=REFERENCE_PATTERN, description="A model")],
    request: Request,
    options: Annotated[Options, Query()],
    principal: Predicting,
) -> Response:
    """Segment one image with this model."""
    return await _answer(request, principal, name, options)


async def _answer(
    request: Request, principal: Principal, reference: str | None, options: Options
) -> Response:
    accept = ", ".join(request.headers.getlist("accept")) or None
    choose_output(accept, list(Output))  # what can never be given is refused before the work
    desk: SegmentationDesk = request.app.state.segmentation
    outcome = await desk.segment(
        request, principal.tenant_id, reference, threshold=options.threshold
    )
    output = choose_output(accept, _possible(outcome.finished, options.slice))
    encoded = await asyncio.to_thread(
        encode,
        outcome.finished,
        output,
        slice_index=options.slice or 0,
        include=[one for one in _INCLUDES if one in options.include.split(",")],
    )
    for stage, seconds in _stages(outcome.finished, encoded).items():
        PREDICT_DURATION.labels(stage=stage).observe(seconds)
    return Response(
        encoded.body, media_type=encoded.media_type, headers=_headers(outcome, output, encoded)
    )


def _possible(finished: Finished, slice_index: int | None) -> list[Output]:
    """Return the forms of this result: a volume has no picture unless a slice is named."""
    count = finished.image.num_slices
    if slice_index is not None and slice_index >= count:
        fault = Fault("/slice", f"{slice_index}, expected below {count}")
        detail = f"slice {slice_index} of an image of {count}, counted from 0"
        raise Unprocessable(detail, faults=[fault])
    if count == 1 or slice_index is not None:
        return list(Output)
    return [output for output in Output if output not in {Output.MASK, Output.OVERLAY}]


def _stages(finished: Finished, encoded: Encoded) -> dict[str, float]:
    return {**vars(finished.seconds), "encode": encoded.seconds}


def _headers(outcome: Outcome, output: Output, encoded: Encoded) -> dict[str, str]:
    finished = outcome.finished
    stages = _stages(finished, encoded)
    headers = {
        "X-Segmentation-Id": finished.segmentation_id,
        "X-Model-Version": f"{finished.version.name}@{finished.version.number}",
        "X-Model-Cache": "hit" if outcome.was_loaded else "miss",
        "Server-Timing": ", ".join(f"{name};dur={1000 * s:.1f}" for name, s in stages.items()),
        "Vary": "Accept",
    }
    if output is Output.NIFTI:
        headers["Content-Disposition"] = 'attachment; filename="segmentation.nii.gz"'
    return headers
