"""From an upload to a registered model, over HTTP, with real worker processes."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from amlp.phantom import generate_phantoms
from service.app import create_app
from service.settings import Settings
from tests.integration.conftest import CELERY, LOOKOUT, StartWorker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SECONDS = 240.0
TINY: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 8,
    "encoder": {"embed_dim": 24, "depth": 1, "num_heads": 2},
    "decoder": {"embed_dim": 24, "depth": 1, "num_heads": 2},
    "batch_size": 4,
    "schedule": {"epochs": 2},
    "checkpoint_every": 1,
    "precision": "fp32",
}
LONG = TINY | {"schedule": {"epochs": 20_000}}
SubmitOver = Callable[..., dict[str, Any]]


@pytest.fixture
def quick_settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "lease_seconds": 6.0,
            "heartbeat_seconds": 1.0,
            "cancel_poll_seconds": 0.2,
            "reconcile_seconds": 0.5,
            "retry_base_seconds": 0.0,
            "device": "cpu",
        }
    )


@pytest.fixture
def api(quick_settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(quick_settings), base_url="http://localhost") as running:
        yield running


@pytest.fixture
def dataset(api: TestClient, headers: dict[str, str], tmp_path: Path) -> str:
    """Upload a dozen phantoms and freeze them; return the data set's id."""
    raw = generate_phantoms(tmp_path / "raw", 12, size=32)
    made = api.post(
        "/v1/datasets", json={"name": "phantoms", "kind": "segmentation"}, headers=headers
    ).json()
    files = [
        (role, (path.name, path.read_bytes(), "image/png"))
        for role in ("images", "masks")
        for path in sorted((raw / role).iterdir())
    ]
    address = f"/v1/datasets/{made['id']}"
    uploaded = api.post(f"{address}/files", files=files, headers=headers)
    assert uploaded.status_code == 201, uploaded.text
    frozen = api.post(f"{address}/versions", json={}, headers=headers)
    assert frozen.status_code == 201, frozen.text
    return str(made["id"])


@pytest.fixture
def submit(api: TestClient, headers: dict[str, str], dataset: str) -> SubmitOver:
    def do(**request: Any) -> dict[str, Any]:
        body = {"kind": "pretrain", "dataset": dataset, "config": TINY} | request
        answer = api.post("/v1/jobs", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    return do


def wait_until(
    api: TestClient, headers: dict[str, str], job: dict[str, Any], **expected: Any
) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while True:
        now = dict(api.get(job["links"]["self"], headers=headers).json())
        if all(now[name] == value for name, value in expected.items()):
            return now
        assert time.monotonic() < deadline, now
        assert now["state"] not in {"FAILED", "SUCCEEDED", "CANCELLED"}, now
        time.sleep(0.5)


def test_upload_becomes_a_model_through_a_celery_worker(
    api: TestClient,
    headers: dict[str, str],
    quick_settings: Settings,
    start_worker: StartWorker,
    submit: SubmitOver,
) -> None:
    start_worker(quick_settings, *CELERY)

    ended = wait_until(api, headers, submit(), state="SUCCEEDED")

    model = api.get("/v1/models/phantoms-pretrain/versions/1", headers=headers).json()
    events = api.get(ended["links"]["events"], headers=headers).text
    assert model["id"] == ended["result"]["model"]["id"]
    assert model["lineage"]["job_id"] == ended["id"]
    assert "event: metric" in events
    assert "event: done" in events


def test_jobs_run_while_the_broker_is_down(
    headers: dict[str, str],
    quick_settings: Settings,
    start_worker: StartWorker,
    api: TestClient,
    submit: SubmitOver,
) -> None:
    deaf = quick_settings.model_copy(update={"redis_url": "redis+socket:///nonexistent/r.sock"})
    start_worker(deaf, *LOOKOUT)

    assert wait_until(api, headers, submit(), state="SUCCEEDED")["attempt"] == 1


def test_terminated_worker_checkpoints_and_puts_its_job_back(
    api: TestClient,
    headers: dict[str, str],
    quick_settings: Settings,
    start_worker: StartWorker,
    submit: SubmitOver,
) -> None:
    worker = start_worker(quick_settings, *CELERY)
    job = submit(config=LONG)
    wait_until(api, headers, job, phase="training")

    worker.send_signal(signal.SIGTERM)

    back = wait_until(api, headers, job, state="QUEUED")
    assert (back["reason"], back["attempt"]) == ("preempted", 0)
    assert worker.wait(60) == 0


def test_job_of_a_killed_worker_is_finished_by_another(
    api: TestClient,
    headers: dict[str, str],
    quick_settings: Settings,
    start_worker: StartWorker,
    submit: SubmitOver,
) -> None:
    first = start_worker(quick_settings, *LOOKOUT, "--worker", "first")
    job = submit(config=TINY | {"schedule": {"epochs": 200}})
    wait_until(api, headers, job, phase="training")

    os.kill(first.pid, signal.SIGKILL)
    start_worker(quick_settings, *LOOKOUT, "--worker", "second")

    ended = wait_until(api, headers, job, state="SUCCEEDED")
    assert ended["attempt"] == 2
