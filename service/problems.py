"""Errors become problem documents (RFC 9457) here and nowhere else."""

import errno
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from amlp.errors import (
    AmlpError,
    CheckpointError,
    EmptyDataset,
    GeometryMismatch,
    ImageTooLarge,
    InvalidMask,
    StorageFull,
    UnreadableImage,
    UnsupportedImage,
)
from service.errors import (
    InsufficientScope,
    MalformedRequest,
    NotFound,
    PayloadTooLarge,
    ServiceError,
    StorageExhausted,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
)
from service.validation import faults_of

PROBLEM_MEDIA_TYPE = "application/problem+json"
MAX_FAULTS = 200


class ProblemFault(BaseModel):
    """One fault of the request."""

    pointer: str = Field(description="JSON pointer to the field or file", examples=["/config/lr"])
    detail: str = Field(description="Value seen and value expected")


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(examples=["/problems/validation"])
    title: str = Field(examples=["Unprocessable content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["1 field of the request is not as expected"])
    instance: str = Field(description="Path of the request")
    code: str = Field(description="Stable, for machines", examples=["validation"])
    request_id: str = Field(description="Also in the header X-Request-Id and in the logs")
    retryable: bool = Field(description="Whether the same request may succeed later")
    errors: list[ProblemFault] = Field(description="The single faults, where there are several")


_OF_LIBRARY: tuple[tuple[type[AmlpError], Callable[[str], ServiceError]], ...] = (
    (ImageTooLarge, partial(PayloadTooLarge, code="image-too-large")),
    (UnsupportedImage, UnsupportedMediaType),
    (UnreadableImage, partial(Unprocessable, code="unreadable-image")),
    (GeometryMismatch, partial(Unprocessable, code="inconsistent-geometry")),
    (InvalidMask, partial(Unprocessable, code="invalid-mask")),
    (EmptyDataset, partial(Unprocessable, code="empty-dataset")),
    (CheckpointError, partial(Unprocessable, code="checkpoint-corrupt")),
    (StorageFull, StorageExhausted),
)


def problem_responses(*classes: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route that may raise `classes`."""
    return {
        one.status: {
            "description": one.title,
            "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for one in classes
    }


PROBLEM_RESPONSES = problem_responses(
    MalformedRequest,
    Unauthenticated,
    InsufficientScope,
    NotFound,
    PayloadTooLarge,
    UnsupportedMediaType,
    Unprocessable,
    Unavailable,
)
"""What any route of the API may answer besides its success."""


def as_service_error(error: AmlpError) -> ServiceError:
    """Return the HTTP form of an error of the library."""
    detail = str(error)
    for library_class, make in _OF_LIBRARY:
        if isinstance(error, library_class):
            return make(detail)
    return Unprocessable(detail)


def problem_response(error: ServiceError, *, instance: str, request_id: str) -> JSONResponse:
    """Return the problem document of `error`."""
    return _response(
        {
            "type": f"/problems/{error.code}",
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            "code": error.code,
            "retryable": error.retryable,
            "errors": [
                {"pointer": fault.pointer, "detail": fault.detail}
                for fault in error.faults[:MAX_FAULTS]
            ],
            **error.extra,
        },
        instance=instance,
        request_id=request_id,
        headers=error.headers,
    )


def unexpected_error(error: Exception) -> ServiceError:
    """Return what a client is told about an error nobody foresaw: nothing about its inside."""
    match error:
        case AmlpError():
            return as_service_error(error)
        case OSError(errno=errno.ENOSPC):
            return StorageExhausted("the service's disk is full; nothing was stored")
        case OperationalError():
            return Unavailable("the database does not answer", headers={"Retry-After": "5"})
        case _:
            return ServiceError("the request failed inside the service; the logs hold the cause")


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of `app`'s routes with a problem document."""

    async def on_service_error(request: Request, error: Exception) -> JSONResponse:
        known = error if isinstance(error, ServiceError) else unexpected_error(error)
        return _answer(request, known)

    async def on_validation(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            raise error
        faults = faults_of(error.errors())
        what = "field of the request is" if len(faults) == 1 else "fields of the request are"
        detail = f"{len(faults)} {what} not as expected"
        return _answer(request, Unprocessable(detail, faults=faults))

    async def on_framework_error(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        return _framework_answer(request, error.status_code, error.headers)

    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(AmlpError, on_service_error)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_framework_error)


def _answer(request: Request, error: ServiceError) -> JSONResponse:
    request_id = request.scope.get("state", {}).get("request_id", "")
    return problem_response(error, instance=request.url.path, request_id=request_id)


def _framework_answer(
    request: Request, status: int, headers: Mapping[str, str] | None
) -> JSONResponse:
    title = HTTPStatus(status).phrase
    code = title.lower().replace(" ", "-")
    if status == NotFound.status:
        detail = f"nothing is at {request.url.path[:200]}"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not possible here"
    else:
        detail = f"the request was refused: {title.lower()}"
    return _response(
        {
            "type": f"/problems/{code}",
            "title": title,
            "status": status,
            "detail": detail,
            "code": code,
            "retryable": False,
            "errors": [],
        },
        instance=request.url.path,
        request_id=request.scope.get("state", {}).get("request_id", ""),
        headers=headers or {},
    )


def _response(
    body: dict[str, Any], *, instance: str, request_id: str, headers: Mapping[str, str]
) -> JSONResponse:
    content = {**body, "instance": _printable(instance), "request_id": request_id}
    return JSONResponse(
        content,
        status_code=body["status"],
        headers=dict(headers),
        media_type=PROBLEM_MEDIA_TYPE,
    )


def _printable(text: str, limit: int = 300) -> str:
    return text[:limit].encode("ascii", "backslashreplace").decode()
