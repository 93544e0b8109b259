"""Problem documents."""

import json

import pytest
from sqlalchemy.exc import OperationalError

from amlp import errors as library
from service.errors import Fault, ServiceError, Unprocessable
from service.problems import (
    MAX_FAULTS,
    as_service_error,
    problem_response,
    problem_responses,
    unexpected_error,
)


def body_of(error: ServiceError):
    return json.loads(problem_response(error, instance="/x", request_id="r").body)


def test_document_has_every_member_of_the_contract():
    body = body_of(Unprocessable("2 is not 3", faults=[Fault("/a", "b")], extra={"seen": 2}))

    assert body == {
        "type": "/problems/validation",
        "title": "Unprocessable content",
        "status": 422,
        "detail": "2 is not 3",
        "instance": "/x",
        "code": "validation",
        "request_id": "r",
        "retryable": False,
        "errors": [{"pointer": "/a", "detail": "b"}],
        "seen": 2,
    }


def test_faults_are_bounded():
    error = Unprocessable("many", faults=[Fault("/a", "b")] * (MAX_FAULTS + 1))

    assert len(body_of(error)["errors"]) == MAX_FAULTS


def test_surrogates_in_the_path_are_escaped():
    response = problem_response(Unprocessable("x"), instance="/\ud800", request_id="r")

    assert json.loads(response.body)["instance"] == "/\\ud800"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (library.UnreadableImage("x"), 422, "unreadable-image"),
        (library.UnsupportedImage("x"), 415, "unsupported-media-type"),
        (library.ImageTooLarge("x"), 413, "image-too-large"),
        (library.GeometryMismatch("x"), 422, "inconsistent-geometry"),
        (library.InvalidMask("x"), 422, "invalid-mask"),
        (library.EmptyDataset("x"), 422, "empty-dataset"),
        (library.ConfigError("x"), 422, "validation"),
        (library.CheckpointError("x"), 422, "checkpoint-corrupt"),
        (library.StorageFull("x"), 507, "disk-watermark"),
    ],
)
def test_errors_of_the_library_have_their_status_and_code(error, status, code):
    answer = as_service_error(error)

    assert (answer.status, answer.code, answer.detail) == (status, code, "x")


def test_silent_database_is_unavailable_and_retryable():
    answer = unexpected_error(OperationalError("SELECT", {}, Exception("no")))

    assert (answer.status, answer.retryable) == (503, True)


def test_responses_refer_to_the_one_problem_schema():
    responses = problem_responses(Unprocessable)

    content = responses[422]["content"]["application/problem+json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
