"""Jobs over HTTP."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from service.app import create_app
from service.jobs import lifecycle
from service.jobs.recording import NewArtifact, NewEvent, record
from service.jobs.transition import Fence
from service.resources import Resources
from service.settings import Settings

Add = Callable[..., str]
Headers = dict[str, str]


@pytest.fixture
def body(resources: Resources, add_version: Add) -> dict[str, Any]:
    return {"kind": "pretrain", "dataset_version": add_version(resources)}


@pytest.fixture
def post(client: TestClient, headers: Headers) -> Callable[..., Response]:
    def do(body: dict[str, Any], **more: str) -> Response:
        return client.post("/v1/jobs", json=body, headers=headers | more)

    return do


def fail(resources: Resources, job_id: str) -> None:
    with resources.database.write() as session:
        job = lifecycle.claim(session, owner="w", lease_seconds=60, job_id=job_id)
        assert job is not None
        error = {"code": "training.diverged", "message": "the loss became NaN at step 3"}
        lifecycle.fail(session, Fence(job.id, job.epoch), reason="diverged", error=error)


def test_job_is_accepted_and_found_at_its_location(
    client: TestClient, headers: Headers, post: Callable[..., Response], body: dict[str, Any]
) -> None:
    answer = post(body)

    found = client.get(answer.headers["Location"], headers=headers)
    assert answer.status_code == 202
    assert found.json() == answer.json()
    assert found.json()["state"] == "QUEUED"
    assert found.json()["progress"]["fraction"] == 0.0


def test_repeated_key_is_answered_with_the_first_job(
    post: Callable[..., Response], body: dict[str, Any]
) -> None:
    first = post(body, **{"Idempotency-Key": "7f3a"})

    second = post(body, **{"Idempotency-Key": "7f3a"})

    assert second.status_code == 202
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json()["id"] == first.json()["id"]
    assert "Idempotency-Replayed" not in first.headers


def test_key_with_another_body_is_refused(
    post: Callable[..., Response], body: dict[str, Any]
) -> None:
    post(body, **{"Idempotency-Key": "7f3a"})

    answer = post(body | {"config": {"seed": 1}}, **{"Idempotency-Key": "7f3a"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency-key-reused"


def test_overlong_key_is_refused(post: Callable[..., Response], body: dict[str, Any]) -> None:
    answer = post(body, **{"Idempotency-Key": "k" * 256})

    assert answer.status_code == 422


def test_wrong_config_is_a_problem_with_pointers(
    post: Callable[..., Response], body: dict[str, Any]
) -> None:
    answer = post(body | {"config": {"optimizer": {"lr": -1}}})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/config/optimizer/lr"


@pytest.fixture
def silent_broker() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.mark.parametrize("broker", ["dead", "silent"])
def test_broker_that_does_not_answer_refuses_no_jobs(
    settings: Settings, headers: Headers, body: dict[str, Any], silent_broker: str, broker: str
) -> None:
    url = "redis+socket:///nonexistent/redis.sock" if broker == "dead" else silent_broker
    app = create_app(settings.model_copy(update={"redis_url": url}))
    with TestClient(app, base_url="http://localhost") as client:
        began = time.monotonic()

        answer = client.post("/v1/jobs", json=body, headers=headers)

        seconds = time.monotonic() - began
    assert answer.status_code == 202
    assert seconds < 3


def test_waiting_job_is_cancelled_at_once_and_then_conflicts(
    client: TestClient, headers: Headers, post: Callable[..., Response], body: dict[str, Any]
) -> None:
    address = post(body).headers["Location"] + "/cancel"

    first = client.post(address, headers=headers)
    second = client.post(address, headers=headers)

    assert (first.status_code, first.json()["state"]) == (202, "CANCELLED")
    assert second.status_code == 409
    assert "CANCELLED" in second.json()["detail"]


def test_failed_job_tells_why_and_can_be_retried(
    client: TestClient,
    headers: Headers,
    post: Callable[..., Response],
    body: dict[str, Any],
    resources: Resources,
) -> None:
    job_id = post(body).json()["id"]
    fail(resources, job_id)

    failed = client.get(f"/v1/jobs/{job_id}", headers=headers).json()
    again = client.post(f"/v1/jobs/{job_id}/retry", headers=headers)

    assert failed["error"]["code"] == "training.diverged"
    assert again.status_code == 202
    assert again.json()["parent_id"] == job_id


def test_list_is_filtered_and_paged_newest_first(
    client: TestClient, headers: Headers, post: Callable[..., Response], body: dict[str, Any]
) -> None:
    ids = [post(body).json()["id"] for _ in range(3)]
    client.post(f"/v1/jobs/{ids[0]}/cancel", headers=headers)

    first = client.get("/v1/jobs?state=QUEUED&limit=1", headers=headers).json()
    cursor = first["next_cursor"]
    second = client.get(f"/v1/jobs?state=QUEUED&limit=1&cursor={cursor}", headers=headers).json()

    pages = [page["items"][0]["id"] for page in (first, second)]
    assert sorted(pages) == sorted(ids[1:])
    assert second["next_cursor"] is None
    assert client.get("/v1/jobs?kind=evaluate", headers=headers).json()["items"] == []


def test_list_of_jobs_created_later_leaves_earlier_ones_out(
    client: TestClient, headers: Headers, post: Callable[..., Response], body: dict[str, Any]
) -> None:
    post(body)

    later = client.get("/v1/jobs?created_after=2100-01-01T00:00:00Z", headers=headers)
    earlier = client.get("/v1/jobs?created_after=2020-01-01T00:00:00Z", headers=headers)

    assert (len(later.json()["items"]), len(earlier.json()["items"])) == (0, 1)


@pytest.mark.parametrize("part", ["", "/events", "/metrics", "/artifacts"])
def test_job_of_another_tenant_is_not_there(
    client: TestClient,
    make_headers: Callable[..., Headers],
    post: Callable[..., Response],
    body: dict[str, Any],
    part: str,
) -> None:
    job_id = post(body).json()["id"]
    stranger = make_headers("jobs:read", tenant_id="other")

    answer = client.get(f"/v1/jobs/{job_id}{part}", headers=stranger)

    assert answer.status_code == 404


def test_reader_may_not_submit(
    client: TestClient, make_headers: Callable[..., Headers], body: dict[str, Any]
) -> None:
    answer = client.post("/v1/jobs", json=body, headers=make_headers("jobs:read"))

    assert answer.status_code == 403


def test_events_of_an_ended_job_are_replayed_and_closed(
    client: TestClient,
    headers: Headers,
    post: Callable[..., Response],
    body: dict[str, Any],
    resources: Resources,
) -> None:
    job_id = post(body).json()["id"]
    fail(resources, job_id)

    stream = client.get(f"/v1/jobs/{job_id}/events", headers=headers)

    assert stream.headers["content-type"].startswith("text/event-stream")
    assert [event["id"] for event in parsed(stream.text) if "id" in event] == ["1", "2", "3"]
    last = parsed(stream.text)[-1]
    assert (last["event"], json.loads(last["data"])) == ("done", {"state": "FAILED"})


def test_events_after_the_last_one_seen_are_not_repeated(
    client: TestClient,
    headers: Headers,
    post: Callable[..., Response],
    body: dict[str, Any],
    resources: Resources,
) -> None:
    job_id = post(body).json()["id"]
    fail(resources, job_id)

    stream = client.get(f"/v1/jobs/{job_id}/events", headers=headers | {"Last-Event-ID": "2"})

    assert [event["id"] for event in parsed(stream.text) if "id" in event] == ["3"]


def test_metrics_are_series_over_steps(
    client: TestClient,
    headers: Headers,
    post: Callable[..., Response],
    body: dict[str, Any],
    resources: Resources,
) -> None:
    job_id = post(body).json()["id"]
    values = {"loss/total": 0.5, "lr": 0.1}
    report(resources, job_id, NewEvent("metric", {"step": 1, "epoch": 0, "values": values}))

    answer = client.get(f"/v1/jobs/{job_id}/metrics?names=loss/total", headers=headers)

    assert answer.json() == {
        "series": {"loss/total": {"steps": [1], "epochs": [0], "attempts": [1], "values": [0.5]}}
    }


def test_picture_is_listed_and_served(
    client: TestClient,
    headers: Headers,
    post: Callable[..., Response],
    body: dict[str, Any],
    resources: Resources,
) -> None:
    job_id = post(body).json()["id"]
    resources.storage.put_bytes("pictures/one.png", b"\x89PNG")
    picture = NewArtifact(
        kind="picture", name="one.png", key="pictures/one.png", sha256="c" * 64, num_bytes=4
    )
    report(resources, job_id, NewEvent("picture", {"step": 1}, picture))

    [listed] = client.get(f"/v1/jobs/{job_id}/artifacts?kind=picture", headers=headers).json()[
        "items"
    ]
    content = client.get(listed["content"], headers=headers)

    assert (content.content, content.headers["content-type"]) == (b"\x89PNG", "image/png")
    assert content.headers["etag"] == f'"sha256:{"c" * 64}"'


def report(resources: Resources, job_id: str, event: NewEvent) -> None:
    with resources.database.write() as session:
        job = lifecycle.claim(session, owner="w", lease_seconds=60, job_id=job_id)
        assert job is not None
        assert record(session, Fence(job.id, job.epoch), [event])


def parsed(text: str) -> list[dict[str, str]]:
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
