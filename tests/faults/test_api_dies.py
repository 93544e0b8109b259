"""An API that is killed around a commit, or drained with a request in flight (rows 3, 4, 27)."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from sqlalchemy import text

from tests.faults.cluster import QUICK, Cluster, wait_for
from tests.faults.conftest import OwnRedis
from tests.faults.matrix import Run
from tests.faults.nemesis import Nemesis

pytestmark = [pytest.mark.integration]

KEY = "one-request"


def submit_in_background(cluster: Cluster) -> threading.Thread:
    """Submit a job; nobody hears the answer."""
    body = {"kind": "pretrain", "dataset_version": "dsv_1", "config": QUICK}

    def send() -> None:
        with contextlib.suppress(httpx2.TransportError):
            cluster.post("/v1/jobs", json=body, headers={"Idempotency-Key": KEY})

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.row(3, "kill -9 API between commit and message")
def test_job_of_an_api_killed_after_its_commit_runs_once(
    cluster: Cluster, own_redis: OwnRedis, nemesis: Nemesis, run: Run
) -> None:
    api = cluster.start_api(redis_url=own_redis.url)
    own_redis.process.send_signal(signal.SIGSTOP)  # the message waits here, after the commit
    request = submit_in_background(cluster)
    wait_for(cluster.num_jobs, "the job is committed")

    nemesis.kill(api)
    killed_at = time.monotonic()
    request.join()
    own_redis.process.send_signal(signal.SIGCONT)
    cluster.start_api(redis_url=own_redis.url)
    job = cluster.submit(key=KEY)
    cluster.start_lookout("w", redis_url=own_redis.url)
    cluster.wait(job, state="RUNNING")
    run.recoveries.append(time.monotonic() - killed_at)

    cluster.wait(job, state="SUCCEEDED")
    assert cluster.num_jobs() == 1


@pytest.mark.row(4, "kill -9 API before the commit")
def test_api_killed_before_its_commit_leaves_nothing(
    cluster: Cluster, nemesis: Nemesis, run: Run
) -> None:
    api = cluster.start_api()
    with cluster.resources.database.write() as session:
        session.execute(text("SELECT 1"))  # takes SQLite's write lock: the request waits for it
        request = submit_in_background(cluster)
        time.sleep(nemesis.random.uniform(0.3, 0.8))
        nemesis.kill(api)
        killed_at = time.monotonic()
        request.join()

    assert cluster.num_jobs() == 0
    assert cluster.resources.storage.keys("jobs") == []
    cluster.start_api()
    cluster.submit(key=KEY)
    run.recoveries.append(time.monotonic() - killed_at)
    assert cluster.num_jobs() == 1


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.row(27, "SIGTERM to the API during an upload")
def test_drained_api_finishes_an_upload_and_takes_no_new_one(
    cluster: Cluster, stored_phantoms: Path, run: Run
) -> None:
    api = cluster.start_api()
    made = cluster.post("/v1/datasets", json={"name": "more", "kind": "unlabelled"}).json()
    image = next(stored_phantoms.rglob("*.png")).read_bytes()
    is_half_way = threading.Event()
    answers: list[httpx2.Response] = []

    def slowly() -> Iterator[bytes]:
        head = 'Content-Disposition: form-data; name="images"; filename="a.png"\r\n'
        body = f"--x\r\n{head}Content-Type: image/png\r\n\r\n".encode() + image + b"\r\n--x--\r\n"
        yield body[:100]
        is_half_way.set()
        time.sleep(2)
        yield body[100:]

    def upload() -> None:
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        answers.append(
            cluster.post(f"/v1/datasets/{made['id']}/files", content=slowly(), headers=kind)
        )

    thread = threading.Thread(target=upload)
    thread.start()
    is_half_way.wait()
    time.sleep(0.5)
    api.send_signal(signal.SIGTERM)
    sent_at = time.monotonic()
    time.sleep(0.5)
    refused = not accepts(cluster.address)
    code = api.wait(25)
    run.figures["exit s"] = round(time.monotonic() - sent_at, 2)
    thread.join()

    assert refused
    assert [answer.status_code for answer in answers] == [201]
    assert code in {0, -signal.SIGTERM}


def accepts(address: str) -> bool:
    where = urlsplit(address)
    try:
        with socket.create_connection((where.hostname or "", where.port or 0), timeout=1):
            return True
    except OSError:
        return False
