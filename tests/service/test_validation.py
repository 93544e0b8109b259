"""Faults from pydantic's errors."""

import pytest
from pydantic import ConfigDict, Field, ValidationError

from service.schemas import Schema
from service.validation import faults_of, joined, printable


class Inner(Schema):
    model_config = ConfigDict(extra="forbid", strict=True)

    rate: float = Field(gt=0)


class Outer(Schema):
    steps: list[Inner]


def faults(value, prefix=""):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(value)
    return faults_of(caught.value.errors(), prefix)


def test_pointer_leads_to_the_field():
    (fault,) = faults({"steps": [{"rate": 1.0}, {"rate": -1.0}]}, "/config")

    assert fault.pointer == "/config/steps/1/rate"


def test_value_seen_is_named():
    (fault,) = faults({"steps": [{"rate": -1.0}]})

    assert fault.detail == "Input should be greater than 0; seen: -1.0"


def test_slashes_and_tildes_of_a_field_name_are_escaped():
    (fault,) = faults({"steps": [], "a/b~c": 1})

    assert fault.pointer == "/a~1b~0c"


@pytest.mark.parametrize("value", ["x" * 100, {"patient": "Doe"}, ["Doe"], float("nan"), -(10**30)])
def test_long_compound_and_strange_values_are_not_echoed(value):
    (fault,) = faults({"steps": [{"rate": value}]})

    assert "seen" not in fault.detail


def test_control_and_surrogate_characters_are_escaped():
    (fault,) = faults({"steps": [{"rate": "a\ud800\u202e\n"}]})

    assert "'a\\ud800\\u202e\\u000a'" in fault.detail


def test_unknown_field_is_told_in_plain_words():
    (fault,) = faults({"steps": [], "rate": 2})

    assert (fault.pointer, fault.detail) == ("/rate", "unknown field; seen: 2")


def test_long_text_is_cut():
    assert printable("x" * 100, 10) == "xxxxxxxxx…"


def test_list_for_a_message_is_cut():
    assert joined(["a", "b", "c"], 2) == "a, b and 1 more"
