"""Bodies, streamed to disk."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import Request

from service.errors import MalformedRequest, PayloadTooLarge, Unprocessable
from service.segmentation.receiving import Received, receive_image

FORM = "multipart/form-data; boundary=edge"


def form(*fields: tuple[str, str, bytes]) -> bytes:
    parts = (
        f'--edge\r\nContent-Disposition: form-data; name="{name}"{more}\r\n'.encode()
        + b"Content-Type: image/png\r\n\r\n"
        + content
        + b"\r\n"
        for name, more, content in fields
    )
    return b"".join(parts) + b"--edge--\r\n"


def receive(folder: Path, body: bytes, content_type: str, *, max_bytes: int = 10**6) -> Received:
    def chunks() -> Iterator[dict[str, object]]:
        for start in range(0, len(body), 7):
            yield {"type": "http.request", "body": body[start : start + 7], "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    messages = chunks()

    async def next_message() -> dict[str, object]:
        return next(messages)

    scope = {"type": "http", "headers": [(b"content-type", content_type.encode())]}
    return asyncio.run(receive_image(Request(scope, next_message), folder, max_bytes=max_bytes))


def test_a_raw_body_is_the_file(tmp_path: Path):
    received = receive(tmp_path, b"0123456789" * 10, "image/PNG; x=y")

    assert received.path.read_bytes() == b"0123456789" * 10
    assert received.media_type == "image/png"


def test_the_field_image_is_the_file_and_its_name_does_not_matter(tmp_path: Path):
    body = form(("note", "", b"hello"), ("image", '; filename="../../x.png"', b"pixels"))

    received = receive(tmp_path, body, FORM)

    assert received.path.parent == tmp_path
    assert received.path.read_bytes() == b"pixels"
    assert received.media_type == "image/png"


@pytest.mark.parametrize(("content_type", "size"), [("image/png", 101), (FORM, 400)])
def test_one_byte_too_many_is_refused(tmp_path: Path, content_type: str, size: int):
    body = form(("image", '; filename="x"', b"0" * size)) if content_type == FORM else b"0" * size

    with pytest.raises(PayloadTooLarge):
        receive(tmp_path, body, content_type, max_bytes=100)


def test_exactly_the_limit_is_accepted(tmp_path: Path):
    received = receive(tmp_path, b"0" * 100, "image/png", max_bytes=100)

    assert received.path.stat().st_size == 100


@pytest.mark.parametrize(
    "body",
    [
        form(("picture", '; filename="x"', b"pixels")),
        form(("image", "", b"no file but a text")),
        form(),
    ],
    ids=["other name", "text", "nothing"],
)
def test_a_form_without_a_file_image_is_refused(tmp_path: Path, body: bytes):
    with pytest.raises(Unprocessable):
        receive(tmp_path, body, FORM)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--edge", "multipart/form-data"),
        (b"no boundary in here", FORM),
        (form(("image", '; filename="a"', b"1"), ("image", '; filename="b"', b"2")), FORM),
    ],
    ids=["no boundary named", "no boundary found", "two files"],
)
def test_a_form_that_cannot_be_read_is_malformed(tmp_path: Path, body: bytes, content_type: str):
    with pytest.raises(MalformedRequest):
        receive(tmp_path, body, content_type)
