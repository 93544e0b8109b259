"""Strict JSON: what Python's parser lets through but a database or an answer cannot carry."""

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from service.errors import Fault, MalformedRequest, Unprocessable
from service.validation import pointer_to, printable

MAX_DEPTH = 64
MAX_INTEGER_DIGITS = 18
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def check_json(body: bytes) -> None:
    """Raise unless `body` is one JSON value that every part of the service can hold.

    Raises:
        MalformedRequest: not JSON in UTF-8.
        Unprocessable: NaN or infinite or huge numbers, duplicate keys, NUL or unpaired surrogates
            in text, or nesting deeper than MAX_DEPTH.
    """
    _check_depth(body)
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_pairs,
            parse_constant=_Unsound,
            parse_float=_finite,
            parse_int=_bounded,
        )
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"body is not UTF-8: byte {error.start} is wrong") from error
    except json.JSONDecodeError as error:
        raise MalformedRequest(
            f"body is not JSON: {error.msg.lower()} in line {error.lineno} column {error.colno}"
        ) from error
    _check_sound(value, "")


def _check_depth(body: bytes) -> None:
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        match token.group()[:1]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
        if depth > MAX_DEPTH:
            raise _wrong(f"body is nested deeper than {MAX_DEPTH} levels")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        double, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise _wrong(f"body names the field '{printable(double)}' twice")
    return result


@dataclass(frozen=True)
class _Unsound:
    """Stands for a number that cannot be held, until its place in the body is known."""

    seen: str


def _finite(digits: str) -> float | _Unsound:
    value = float(digits)
    return value if math.isfinite(value) else _Unsound("a number beyond the range of a double")


def _bounded(digits: str) -> int | _Unsound:
    if len(digits.lstrip("-")) > MAX_INTEGER_DIGITS:
        return _Unsound(f"an integer of {len(digits)} digits")
    return int(digits)


def _check_sound(value: Any, pointer: str) -> None:
    match value:
        case _Unsound(seen):
            expected = f"expected a finite number of at most {MAX_INTEGER_DIGITS} digits"
            raise _wrong(f"body holds {seen} at {pointer or 'its top'}, {expected}", pointer)
        case str():
            if "\0" in value or any(0xD800 <= ord(character) <= 0xDFFF for character in value):
                raise _wrong("body holds text with a NUL or an unpaired surrogate", pointer)
        case list():
            for index, item in enumerate(value):
                _check_sound(item, f"{pointer}/{index}")
        case dict():
            for key, item in value.items():
                _check_sound(key, pointer)
                _check_sound(item, pointer + pointer_to([key]))


def _wrong(detail: str, pointer: str = "") -> Unprocessable:
    return Unprocessable(detail, faults=[Fault(pointer, detail)])
