"""Around every request: its id, its limits, safe headers, the last handler, log and metrics."""

import re
import time
from uuid import uuid4

import anyio
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import (
    MalformedRequest,
    PayloadTooLarge,
    RequestTimeout,
    ServiceError,
    UnsupportedMediaType,
)
from service.json_body import check_json
from service.metrics import HTTP_DURATION
from service.problems import problem_response, unexpected_error
from service.settings import Settings

UPLOAD_PATHS = re.compile(r"/v1/datasets/[^/]+/files|(?:/v1(?:/models/[^/]+)?)?/segment")
"""Routes that stream their body to disk; every other body is JSON and small."""

PROBE_PATHS = frozenset({"/livez", "/readyz"})
CHUNK_SECONDS = 60.0
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PORT = re.compile(r":\d+$")
_SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

log = structlog.stdlib.get_logger(__name__)


class RequestGate:
    """The outermost layer of the application.

    It gives every request an id, refuses what no route should see, answers what nothing else
    answered, and records the outcome.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        named = {host.strip() for host in settings.allowed_hosts.split(",") if host.strip()}
        self._hosts = {"localhost", "127.0.0.1", "[::1]", settings.host} | named

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, _request_id(Headers(scope=scope)))
        scope.setdefault("state", {})["request_id"] = answer.request_id
        started = time.perf_counter()
        try:
            self._check_head(scope)
            await self._app(scope, await self._limited(scope, receive), answer.send)
        except ServiceError as error:
            await _refuse(error, scope, receive, answer)
        except ClientDisconnect:
            pass  # nobody is left to answer; recorded as 499
        except Exception as error:
            # the last handler: whatever happens inside, a client gets a problem document
            log.exception("request.failed", request_id=answer.request_id, route=_route(scope))
            await _refuse(unexpected_error(error), scope, receive, answer)
        _record(scope, answer, time.perf_counter() - started)

    def _check_head(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        name = _PORT.sub("", headers.get("host", ""))
        trusted = name in self._hosts or "*" in self._hosts or scope["path"] in PROBE_PATHS
        if not trusted:
            raise MalformedRequest("the Host header names no host of this service")
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            raise MalformedRequest("the address holds a NUL")
        if headers.get("content-encoding", "identity") != "identity":
            raise UnsupportedMediaType("encoded bodies are not accepted; send it as it is")

    async def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """Return a receive that cannot deliver more than the route may get."""
        is_upload = UPLOAD_PATHS.fullmatch(scope["path"]) is not None
        settings = self._settings
        limit = settings.max_upload_bytes if is_upload else settings.max_json_bytes
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise MalformedRequest("Content-Length is not a number")
        if int(length) > limit:
            raise _too_large(limit)
        counted = _count(receive, limit)
        if is_upload or scope["method"] in {"GET", "HEAD"}:
            return counted
        return await _buffer_json(headers, counted, receive)


class _Answer:
    """Sends on, adds headers, remembers the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.request_id
            for name, value in _SAFE_HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _count(receive: Receive, limit: int) -> Receive:
    received = 0
    is_complete = False

    async def counted() -> Message:
        nonlocal received, is_complete
        if is_complete:
            return await receive()
        try:
            with anyio.fail_after(CHUNK_SECONDS):
                message = await receive()
        except TimeoutError as error:
            raise RequestTimeout(f"no part of the body came for {CHUNK_SECONDS:.0f} s") from error
        received += len(message.get("body", b""))
        is_complete = not message.get("more_body", False)
        if received > limit:
            raise _too_large(limit)
        return message

    return counted


async def _buffer_json(headers: Headers, counted: Receive, receive: Receive) -> Receive:
    """Read a small body, check that it is sound JSON, and return a receive that replays it."""
    chunks = []
    more = True
    while more:
        message = await counted()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(chunks)
    if body:
        media_type = headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type != "application/json":
            raise UnsupportedMediaType(
                "the body's Content-Type must be application/json",
                extra={"accepted": ["application/json"]},
            )
        check_json(body)
    whole: Message = {"type": "http.request", "body": body, "more_body": False}
    replayed = iter([whole])

    async def replay() -> Message:
        message = next(replayed, None)
        return message if message is not None else await receive()

    return replay


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body is larger than {limit} bytes", extra={"max_bytes": limit})


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


async def _refuse(error: ServiceError, scope: Scope, receive: Receive, answer: _Answer) -> None:
    if answer.status is not None:
        return  # too late: the answer has begun, all that is left is to cut it short
    response = problem_response(error, instance=scope["path"], request_id=answer.request_id)
    await response(scope, receive, answer.send)


def _record(scope: Scope, answer: _Answer, seconds: float) -> None:
    status = answer.status or 499
    labels = {
        "method": scope["method"] if scope["method"] in _METHODS else "other",
        "route": _route(scope),
        "status_class": f"{status // 100}xx",
    }
    HTTP_DURATION.labels(**labels).observe(seconds)
    log.info(
        "request.answered",
        request_id=answer.request_id,
        method=labels["method"],
        route=labels["route"],
        status=status,
        duration_seconds=round(seconds, 4),
    )


def _route(scope: Scope) -> str:
    """Return the route's pattern: the path itself may hold names and would make endless labels."""
    return getattr(scope.get("route"), "path", "unknown")
