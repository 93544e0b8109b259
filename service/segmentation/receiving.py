"""The image of a request, streamed to disk: the raw body, or the field `image` of a form."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import anyio
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.errors import Fault, MalformedRequest, PayloadTooLarge, Unprocessable

FIELD = "image"

_MAX_FIELDS = 8
_CHUNK_BYTES = 1024 * 1024


class Received(NamedTuple):
    """A file as sent, and the media type the client says it has."""

    path: Path
    media_type: str


async def receive_image(request: Request, folder: Path, *, max_bytes: int) -> Received:
    """Write the request's image into `folder`.

    Raises:
        PayloadTooLarge: the body has more than `max_bytes`.
        MalformedRequest: the form cannot be read.
        Unprocessable: the form has no single file `image`.
    """
    path = folder / "received"
    media_type = _bare(request.headers.get("content-type", ""))
    body = _limited(request, max_bytes)
    if media_type == "multipart/form-data":
        media_type = await _write_field(request, body, path)
    else:
        async with await anyio.open_file(path, "wb") as file:
            async for chunk in body:
                await file.write(chunk)
    return Received(path, media_type)


async def _write_field(request: Request, body: AsyncGenerator[bytes, None], path: Path) -> str:
    parser = MultiPartParser(
        request.headers, body, max_files=1, max_fields=_MAX_FIELDS, max_part_size=_CHUNK_BYTES
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise MalformedRequest(f"the form cannot be read: {error.message}") from error
    try:
        upload = form.get(FIELD)
        if not isinstance(upload, UploadFile):
            fault = Fault(f"/{FIELD}", "expected one file")
            raise Unprocessable(f"the form has no file {FIELD}", faults=[fault])
        async with await anyio.open_file(path, "wb") as file:
            while chunk := await upload.read(_CHUNK_BYTES):
                await file.write(chunk)
        return _bare(upload.content_type or "")
    finally:
        await form.close()


async def _limited(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes:
            raise PayloadTooLarge(
                f"the image is larger than {max_bytes} bytes", extra={"max_bytes": max_bytes}
            )
        yield chunk


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
