"""Which form of the result a client accepts (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.errors import MalformedRequest, NotAcceptable

_MAX_RANGES = 50


class Output(StrEnum):
    """The forms a result can take, most useful first: that order settles ties."""

    JSON = "application/json"
    MASK = "image/png"
    OVERLAY = "image/png; profile=overlay"
    NIFTI = "application/vnd.nifti"
    COCO_RLE = "application/json; profile=coco-rle"
    POLYGONS = "application/json; profile=polygons"


_NIFTI_ALIASES = ("application/x-nifti", "application/gzip", "application/octet-stream")


@dataclass(frozen=True)
class _Range:
    media_type: str
    profile: str | None
    quality: float

    def specificity(self, media_type: str, profile: str | None) -> int:
        """Return how closely the range names this type; 0 when it does not match."""
        if self.profile is not None and self.profile != profile:
            return 0
        if self.media_type == media_type:
            return 3 + (self.profile is not None)
        if self.media_type == media_type.partition("/")[0] + "/*":
            return 2
        return int(self.media_type == "*/*")


def choose_output(accept: str | None, offers: Sequence[Output]) -> Output:
    """Return the offer that the `Accept` header likes best; without a header, the first.

    Raises:
        MalformedRequest: the header cannot be read.
        NotAcceptable: it excludes every offer; the problem lists them.
    """
    ranges = _parse(accept or "*/*")
    qualities = {offer: _quality(offer, ranges) for offer in offers}
    best = max(offers, key=lambda offer: qualities[offer])
    if qualities[best] == 0:
        available = [str(offer) for offer in offers]
        raise NotAcceptable(
            f"none of the accepted media types can be given, expected one of {available}",
            extra={"available": available},
        )
    return best


def _quality(offer: Output, ranges: Sequence[_Range]) -> float:
    media_type, profile = _media_type(offer)
    names = [media_type, *(_NIFTI_ALIASES if offer is Output.NIFTI else ())]
    matches = [
        (range_.specificity(name, profile), range_.quality) for range_ in ranges for name in names
    ]
    closest = max(matches, key=lambda match: match[0])
    return closest[1] if closest[0] else 0.0


def _parse(accept: str) -> list[_Range]:
    parts = [part for part in accept.split(",") if part.strip()]
    if len(parts) > _MAX_RANGES:
        raise MalformedRequest(f"Accept lists {len(parts)} types, expected {_MAX_RANGES} at most")
    return [_parse_range(part) for part in parts] or [_Range("*/*", None, 1.0)]


def _parse_range(text: str) -> _Range:
    media_type, profile = _media_type(text)
    quality = _parameters(text).get("q", "1")
    try:
        number = float(quality)
    except ValueError as error:
        raise MalformedRequest("Accept has a q that is not a number") from error
    if "/" not in media_type or not 0 <= number <= 1:
        raise MalformedRequest("Accept is not a list of media types with q from 0 to 1")
    return _Range(media_type, profile, number)


def _media_type(text: str) -> tuple[str, str | None]:
    return text.partition(";")[0].strip().lower(), _parameters(text).get("profile")


def _parameters(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";")[1:])
    return {name.strip().lower(): value.strip().strip('"').lower() for name, _, value in pairs}
