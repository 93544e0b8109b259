"""Errors of pydantic as faults with JSON pointers, safe to send back."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.errors import Fault

MAX_SHOWN = 60
UNKNOWN = "unknown field"


def faults_of(errors: Sequence[Mapping[str, Any]], prefix: str = "") -> list[Fault]:
    """Return pydantic's `errors()` as faults.

    Args:
        errors: of a pydantic ValidationError, or of FastAPI's RequestValidationError.
        prefix: pointer of the validated value in the request, such as `/config`.
    """
    return [
        Fault(prefix + _pointer(error["loc"], error["type"]), _detail(error)) for error in errors
    ]


def printable(text: str, limit: int = MAX_SHOWN) -> str:
    """Return `text` cut, with everything that could confuse a terminal or a page escaped."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}" for character in cut
    )


def joined(names: Iterable[str], limit: int = 10) -> str:
    """Return `names` as a list for a message, cut after `limit`."""
    ordered = list(names)
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more


def pointer_to(parts: Iterable[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) through these names and indices."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "".join(f"/{printable(part)}" for part in escaped)


def _pointer(location: Sequence[str | int], kind: str) -> str:
    parts = list(location)
    if parts and parts[0] in {"body", "query", "path", "header"}:
        parts = parts[1:]
    if kind == "json_invalid":
        parts = []
    return pointer_to(parts)


def _detail(error: Mapping[str, Any]) -> str:
    known = error["type"] != "extra_forbidden"
    message = printable(str(error["msg"]).removeprefix("Value error, "), 300) if known else UNKNOWN
    seen = _shown(error.get("input"))
    return f"{message}; seen: {seen}" if seen is not None else message


def _shown(value: Any) -> str | None:
    """Return a short scalar as text; everything else might be large or private."""
    match value:
        case bool() | None:
            return repr(value).lower() if isinstance(value, bool) else None
        case int() if abs(value) < 10**15:
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case str() if len(value) <= MAX_SHOWN:
            return f"'{printable(value)}'"
        case _:
            return None
