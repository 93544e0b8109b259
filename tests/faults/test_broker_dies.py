"""A broker that is emptied or repeats itself (rows 6 and 20)."""

import time

import pytest
import redis

from service.jobs import lifecycle
from service.queue import Queue
from tests.faults.cluster import Cluster, wait_for
from tests.faults.conftest import OwnRedis
from tests.faults.matrix import Run

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.faults]


@pytest.fixture
def redis_url(own_redis: OwnRedis) -> str:
    return own_redis.url


@pytest.mark.row(6, "FLUSHALL with jobs queued")
def test_jobs_whose_messages_are_gone_run_once(
    cluster: Cluster, own_redis: OwnRedis, run: Run
) -> None:
    cluster.start_api()
    jobs = [cluster.submit() for _ in range(2)]
    with redis.Redis(unix_socket_path=str(own_redis.folder / "redis.sock")) as client:
        client.flushall()
    flushed_at = time.monotonic()
    cluster.start_celery("w")

    wait_for(lambda: any(cluster.job(job).attempt for job in jobs), "one of the jobs runs")
    run.recoveries.append(time.monotonic() - flushed_at)

    assert [cluster.wait(job, state="SUCCEEDED").attempt for job in jobs] == [1, 1]


@pytest.mark.row(20, "the same message three times")
def test_doubled_messages_run_a_job_once(cluster: Cluster, run: Run) -> None:
    cluster.start_api()
    job = cluster.submit()
    queue = Queue(cluster.settings.resolved_redis_url)
    assert all(queue.publish(job) for _ in range(3))
    queue.close()
    sent_at = time.monotonic()
    cluster.start_celery("w")
    cluster.start_celery("v")
    cluster.wait(job, state="RUNNING")
    run.recoveries.append(time.monotonic() - sent_at)

    refused_at = time.monotonic()
    with cluster.resources.database.write() as session:
        again = lifecycle.claim(session, owner="third", lease_seconds=60, job_id=job)
    run.figures["refusal ms"] = round(1000 * (time.monotonic() - refused_at), 2)

    assert cluster.wait(job, state="SUCCEEDED").attempt == 1
    assert [event.data["to"] for event in cluster.events(job)] == [
        *("QUEUED", "RUNNING", "SUCCEEDED")
    ]
    assert again is None
    assert run.figures["refusal ms"] < 50
