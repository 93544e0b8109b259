"""Steering jobs over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs import lifecycle
from service.jobs.recording import NewArtifact, NewEvent, record
from service.jobs.transition import Fence
from service.resources import Resources

Headers = dict[str, str]


@pytest.fixture
def address(
    client: TestClient, headers: Headers, resources: Resources, add_version: Callable[..., str]
) -> str:
    """Submit a job; return where it is."""
    body: dict[str, Any] = {"kind": "pretrain", "dataset_version": add_version(resources)}
    return client.post("/v1/jobs", json=body, headers=headers).headers["Location"]


def succeed(resources: Resources, job_id: str) -> None:
    """See the job to its end, with a checkpoint and a model."""
    with resources.database.write() as session:
        job = lifecycle.claim(session, owner="w", lease_seconds=60, job_id=job_id)
        assert job is not None
        fence = Fence(job.id, job.epoch)
        for kind in ("checkpoint", "model"):
            artifact = NewArtifact(kind=kind, name="step-1", key=kind, sha256="c", num_bytes=1)
            record(session, fence, [NewEvent("note", {}, artifact)])
        lifecycle.succeed(session, fence, artifact_kind="model")


def test_job_is_paused_and_resumed(client: TestClient, headers: Headers, address: str) -> None:
    paused = client.post(f"{address}/pause", headers=headers)
    resumed = client.post(f"{address}/resume", headers=headers)

    assert (paused.status_code, paused.json()["reason"]) == (202, "paused")
    assert paused.json()["pause_requested_at"] is not None
    assert (resumed.status_code, resumed.json()["pause_requested_at"]) == (202, None)


def test_job_that_is_not_paused_conflicts_with_resume(
    client: TestClient, headers: Headers, address: str
) -> None:
    answer = client.post(f"{address}/resume", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_finished_training_is_extended_by_a_new_job(
    client: TestClient, headers: Headers, resources: Resources, address: str
) -> None:
    succeed(resources, address.rpartition("/")[2])

    answer = client.post(f"{address}/extend", json={"epochs": 50}, headers=headers)

    assert answer.status_code == 202
    assert answer.headers["Location"] != address
    assert answer.json()["parent_id"] == address.rpartition("/")[2]
    assert answer.json()["config"]["schedule"]["epochs"] == 250


def test_repeated_extension_is_answered_with_the_first_job(
    client: TestClient, headers: Headers, resources: Resources, address: str
) -> None:
    succeed(resources, address.rpartition("/")[2])
    keyed = headers | {"Idempotency-Key": "7f3a"}

    first, second = (
        client.post(f"{address}/extend", json={"epochs": 50}, headers=keyed) for _ in range(2)
    )

    assert second.json()["id"] == first.json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("body", [{}, {"epochs": 0}, {"epochs": 1.5}, {"epochs": 1, "lr": 1}])
def test_extension_that_does_not_say_how_long_is_refused(
    client: TestClient, headers: Headers, address: str, body: dict[str, Any]
) -> None:
    answer = client.post(f"{address}/extend", json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation")


@pytest.mark.parametrize("part", ["pause", "resume", "extend"])
def test_reader_may_not_steer(
    client: TestClient, make_headers: Callable[..., Headers], address: str, part: str
) -> None:
    reader = make_headers("jobs:read")

    answer = client.post(f"{address}/{part}", json={"epochs": 1}, headers=reader)

    assert answer.status_code == 403
