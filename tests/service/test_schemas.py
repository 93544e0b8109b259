"""The base of all bodies."""

import pytest
from pydantic import ValidationError

from service.schemas import Schema, Timestamp


class Sample(Schema):
    at: Timestamp
    count: int = 0
    share: float = 0.0


def test_seconds_become_rfc_3339_in_utc():
    assert Sample(at=0.5).model_dump(mode="json")["at"] == "1970-01-01T00:00:00.500000Z"


def test_text_with_a_zone_becomes_a_moment():
    assert Sample(at="1970-01-01T01:00:00+01:00").at.timestamp() == 0.0


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00", "yesterday", True, None])
def test_other_moments_are_refused(at):
    with pytest.raises(ValidationError):
        Sample(at=at)


@pytest.mark.parametrize(
    "field", [{"count": "1"}, {"count": True}, {"count": 1.0}, {"share": float("nan")}, {"x": 1}]
)
def test_coercion_nan_and_unknown_fields_are_refused(field):
    with pytest.raises(ValidationError):
        Sample(at=0.0, **field)
