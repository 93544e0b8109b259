"""Strict JSON."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedRequest, Unprocessable
from service.json_body import MAX_DEPTH, check_json

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_every_sound_value_passes(value):
    check_json(json.dumps(value).encode())


@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_refused_as_the_clients_fault(content):
    with contextlib.suppress(MalformedRequest, Unprocessable):
        check_json(content)


def test_brackets_in_text_do_not_count_as_nesting():
    check_json(json.dumps(["[" * 500 + '\\"{']).encode())


def test_deepest_nesting_allowed_passes():
    check_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_nesting_beyond_the_limit_is_refused():
    with pytest.raises(Unprocessable, match="nested deeper than 64"):
        check_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_bottomless_nesting_is_refused_without_recursion():
    with pytest.raises(Unprocessable):
        check_json(b"[" * 100_000)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "9" * 500])
def test_number_that_cannot_be_held_is_named_by_its_place(number):
    with pytest.raises(Unprocessable, match="expected a finite number") as caught:
        check_json(f'{{"a/b": [0, {number}]}}'.encode())

    assert caught.value.faults[0].pointer == "/a~1b/1"


def test_double_field_is_named():
    with pytest.raises(Unprocessable, match="'lr' twice"):
        check_json(b'{"a": {"lr": 1, "lr": 2}}')


def test_negative_zero_and_exponents_pass():
    check_json(b"[-0, -0.0, 1e-5, 1E300]")
