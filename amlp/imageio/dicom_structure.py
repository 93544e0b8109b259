"""The skeleton of a DICOM file, walked before any DICOM library sees it.

Declared lengths must fit into what is left, sequences must not nest too deep, deflated data sets
must not inflate too far. The walk keeps its own stack, so depth costs no recursion.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from amlp.errors import ImageTooLarge, UnreadableImage
from amlp.imageio.limits import ImageLimits

DEFLATED_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
_IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_TRANSFER_SYNTAX_UID = 0x00020010
_PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_LONG_VRS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)


@dataclass(frozen=True)
class DicomStructure:
    """What the walk found.

    Attributes:
        transfer_syntax: UID of the file meta information, implicit little endian without any.
        has_preamble: whether the file starts with 128 bytes and `DICM`.
        has_pixels: whether pixel data are there, at the top level.
    """

    transfer_syntax: str
    has_preamble: bool
    has_pixels: bool


class _Encoding(NamedTuple):
    order: str
    explicit: bool


class _Level(NamedTuple):
    end: int
    encoding: _Encoding
    is_fragments: bool


class _Element(NamedTuple):
    tag: int
    vr: bytes
    is_sequence: bool
    length: int
    value_at: int


def check_structure(data: bytes, limits: ImageLimits) -> DicomStructure:
    """Walk all elements of a DICOM file.

    Raises:
        UnreadableImage: an element is longer than what holds it, or nests too deep.
        ImageTooLarge: too many elements, or a deflated data set that inflates too far.
    """
    has_preamble = data[128:132] == b"DICM"
    start = 132 if has_preamble else 0
    uid, start = _read_meta(data, start)
    if uid == DEFLATED_EXPLICIT_LITTLE_ENDIAN:
        data, start = _inflate(data[start:], limits), 0
    if len(data) - start < 8:
        raise UnreadableImage("DICOM file ends before its data set")
    has_pixels = _walk(data, start, _encoding(data, start, uid), limits)
    return DicomStructure(uid, has_preamble, has_pixels)


def _read_meta(data: bytes, start: int) -> tuple[str, int]:
    """Return the transfer syntax and where the data set starts."""
    uid, encoding = _IMPLICIT_LITTLE_ENDIAN, _Encoding("<", explicit=True)
    while data[start : start + 2] == b"\x02\0":
        element = _read_element(data, start, len(data), encoding)
        end = element.value_at + element.length
        if element.tag == _TRANSFER_SYNTAX_UID:
            uid = data[element.value_at : end].rstrip(b"\0 ").decode("ascii", "replace")
        start = end
    if not uid or len(uid) > 64 or not set(uid) <= set("0123456789."):
        raise UnreadableImage("DICOM transfer syntax is no UID, expected digits and dots")
    return uid, start


def _inflate(data: bytes, limits: ImageLimits) -> bytes:
    stream = zlib.decompressobj(wbits=-15)
    chunks, num_inflated, rest = [], 0, data
    try:
        while chunk := stream.decompress(rest, 1 << 20):
            chunks.append(chunk)
            num_inflated += len(chunk)
            limits.check_inflation(len(data), num_inflated)
            rest = stream.unconsumed_tail
    except zlib.error as error:
        raise UnreadableImage("deflated DICOM data set is damaged") from error
    return b"".join(chunks)


def _encoding(data: bytes, start: int, uid: str) -> _Encoding:
    """Return the encoding that is really there: the first element shows whether it has a VR."""
    order = ">" if uid == _EXPLICIT_BIG_ENDIAN else "<"
    return _Encoding(order, explicit=_is_vr(data[start + 4 : start + 6]))


def _is_vr(letters: bytes) -> bool:
    return len(letters) == 2 and all(0x41 <= letter <= 0x5A for letter in letters)


def _walk(data: bytes, start: int, encoding: _Encoding, limits: ImageLimits) -> bool:
    """Visit every element and return whether pixel data are among those of the top level."""
    at, has_pixels = start, False
    stack = [_Level(len(data), encoding, is_fragments=False)]
    for _ in range(limits.max_elements):
        while len(stack) > 1 and at >= stack[-1].end:
            stack.pop()
        level, is_top = stack[-1], len(stack) == 1
        if at + 8 > level.end:
            if not is_top:
                raise UnreadableImage("DICOM sequence ends inside an element")
            return has_pixels
        element = _read_element(data, at, level.end, level.encoding)
        at = element.value_at
        is_pixels = is_top and element.tag in _PIXEL_DATA
        has_pixels |= is_pixels
        if element.tag in {_ITEM_END, _SEQUENCE_END}:
            del stack[max(1, len(stack) - 1) :]
        elif element.is_sequence and not level.is_fragments:
            stack.append(_enter(element, level, is_fragments=is_pixels))
            # A sequence and its item are two levels of the stack.
            if len(stack) > 2 * limits.max_nesting:
                raise UnreadableImage(
                    f"DICOM sequences nest deeper than {limits.max_nesting} levels"
                )
        else:
            at += element.length
    raise ImageTooLarge(f"DICOM file of more than {limits.max_elements} elements")


def _enter(element: _Element, level: _Level, *, is_fragments: bool) -> _Level:
    undefined = element.length == _UNDEFINED
    end = level.end if undefined else element.value_at + element.length
    # PS3.5 6.2.2: a sequence of unknown VR and undefined length is implicit little endian inside.
    encoding = _Encoding("<", explicit=False) if element.vr == b"UN" else level.encoding
    return _Level(end, encoding, is_fragments)


def _read_element(data: bytes, at: int, end: int, encoding: _Encoding) -> _Element:
    """Read tag and length, and refuse a length that goes beyond `end`."""
    if at + 8 > end:
        raise UnreadableImage("DICOM element ends inside its header")
    group, number = struct.unpack_from(encoding.order + "HH", data, at)
    tag, vr, value_at = group << 16 | number, b"", at + 8
    if encoding.explicit and group != 0xFFFE and _is_vr(data[at + 4 : at + 6]):
        vr = data[at + 4 : at + 6]
    if vr in _LONG_VRS:
        if at + 12 > end:
            raise UnreadableImage("DICOM element ends inside its header")
        (length,) = struct.unpack_from(encoding.order + "I", data, at + 8)
        value_at = at + 12
    elif vr:
        (length,) = struct.unpack_from(encoding.order + "H", data, at + 6)
    else:
        (length,) = struct.unpack_from(encoding.order + "I", data, at + 4)
    undefined = length == _UNDEFINED and tag not in {_ITEM_END, _SEQUENCE_END}
    if not undefined and length > end - value_at:
        raise UnreadableImage(
            f"DICOM element ({group:04X},{number:04X}) declares {length} bytes, "
            f"{end - value_at} are left"
        )
    return _Element(tag, vr, undefined or vr == b"SQ" or tag == _ITEM, length, value_at)
