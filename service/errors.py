"""Errors a client can cause or meet, each with its HTTP status and stable code.

ServiceError
├── Unauthenticated 401          ├── PayloadTooLarge 413
├── InsufficientScope 403        ├── UnsupportedMediaType 415
├── NotFound 404                 ├── NotAcceptable 406
├── Conflict 409                 ├── Unprocessable 422
├── PreconditionFailed 412       ├── PreconditionRequired 428
├── MalformedRequest 400         ├── StorageExhausted 507
└── Unavailable 503

Codes are the `/problems/` types of the API; a raise may narrow one with `code=`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Fault:
    """One fault of a request: where (JSON pointer, file or field) and what is wrong there."""

    pointer: str
    detail: str


class ServiceError(Exception):
    """Base: becomes a problem document (RFC 9457) in `problems.py` and nowhere else.

    Args:
        detail: value seen and value expected, without patient data.
        code: a narrower code than the class's.
        faults: the single faults, where there are several.
        extra: further members of the problem document.
        headers: headers of the answer, such as Retry-After.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    default_code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        faults: Sequence[Fault] = (),
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.faults = tuple(faults)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


class MalformedRequest(ServiceError):
    """The request cannot be parsed."""

    status, title, default_code = 400, "Malformed request", "malformed"


class Unauthenticated(ServiceError):
    """No key, or one that is unknown, expired or revoked."""

    status, title, default_code = 401, "Authentication required", "unauthenticated"


class InsufficientScope(ServiceError):
    """The key is valid but not for this."""

    status, title, default_code = 403, "Insufficient scope", "insufficient-scope"


class NotFound(ServiceError):
    """No such thing, or not for this tenant."""

    status, title, default_code = 404, "Not found", "not-found"


class NotAcceptable(ServiceError):
    """None of the formats asked for can be given."""

    status, title, default_code = 406, "Not acceptable", "not-acceptable"


class RequestTimeout(ServiceError):
    """The rest of the request did not come in time."""

    status, title, default_code, retryable = 408, "Request timeout", "request-timeout", True


class Conflict(ServiceError):
    """The thing is in a state that forbids this."""

    status, title, default_code = 409, "Conflict", "conflict"


class PreconditionFailed(ServiceError):
    """Somebody else changed the thing since the client read it."""

    status, title, default_code = 412, "Precondition failed", "precondition-failed"


class PreconditionRequired(ServiceError):
    """The thing is only changed by a client that says which state of it it read."""

    status, title, default_code = 428, "Precondition required", "precondition-required"


class PayloadTooLarge(ServiceError):
    """More bytes, pixels or entries than a limit allows."""

    status, title, default_code = 413, "Payload too large", "payload-too-large"


class UnsupportedMediaType(ServiceError):
    """A kind of content that is not accepted here."""

    status, title, default_code = 415, "Unsupported media type", "unsupported-media-type"


class Unprocessable(ServiceError):
    """Well-formed but wrong."""

    status, title, default_code = 422, "Unprocessable content", "validation"


class Unavailable(ServiceError):
    """Not now; the same request may succeed later."""

    status, title, default_code, retryable = 503, "Temporarily unavailable", "unavailable", True


class StorageExhausted(ServiceError):
    """No space left to keep what was sent; nothing was stored."""

    status, title, default_code, retryable = 507, "Insufficient storage", "disk-watermark", True
