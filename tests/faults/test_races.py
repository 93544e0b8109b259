"""Many at once, and cancels at any moment (rows 21 and 25)."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.jobs import lifecycle
from service.jobs.transition import Fence
from tests.faults.cluster import LONG, Cluster, wait_for
from tests.faults.history import CANCEL_SECONDS
from tests.faults.matrix import Run, percentile
from tests.faults.nemesis import training_of

pytestmark = [pytest.mark.integration]

ROUNDS = 100
WORKERS = 8


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
@pytest.mark.row(21, "eight workers race for one job")
def test_of_eight_racing_workers_one_gets_the_job(cluster: Cluster, run: Run) -> None:
    race(cluster, run, ROUNDS)


@pytest.mark.row(21, "eight workers race for one job")
def test_of_eight_racing_workers_one_gets_the_job_in_short(cluster: Cluster, run: Run) -> None:
    race(cluster, run, 10)


def race(cluster: Cluster, run: Run, rounds: int) -> None:
    cluster.start_api()
    job = cluster.submit()
    barrier = threading.Barrier(WORKERS)
    refusals: list[float] = []

    def compete(number: int) -> int | None:
        barrier.wait()
        asked_at = time.monotonic()
        with cluster.resources.database.write() as session:
            row = lifecycle.claim(session, owner=f"w{number}", lease_seconds=60, job_id=job)
        if row is None:
            refusals.append(time.monotonic() - asked_at)
        return row.epoch if row else None

    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in range(rounds):
            epochs = [epoch for epoch in pool.map(compete, range(WORKERS)) if epoch is not None]
            assert len(epochs) == 1
            with cluster.resources.database.write() as session:
                lifecycle.preempt(session, Fence(job, epochs[0]))
    run.figures["rounds"] = rounds
    run.figures["refusal p99 ms"] = round(1000 * (percentile(sorted(refusals), 99) or 0), 1)


@pytest.mark.row(25, "cancel at every state")
def test_queued_job_is_cancelled_at_once(cluster: Cluster, run: Run) -> None:
    cluster.start_api()
    job = cluster.submit()

    asked_at = time.monotonic()
    answer = cluster.post(f"/v1/jobs/{job}/cancel")
    run.recoveries.append(time.monotonic() - asked_at)

    assert answer.json()["state"] == "CANCELLED"


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("phase", ["training"])
@pytest.mark.row(25, "cancel at every state")
def test_running_job_is_cancelled_in_time(cluster: Cluster, run: Run, phase: str) -> None:
    cluster.start_api()
    worker = cluster.start_lookout("w")
    job = cluster.submit(LONG)
    cluster.wait(job, phase=phase)

    asked_at = time.monotonic()
    cluster.post(f"/v1/jobs/{job}/cancel")
    cluster.wait(job, state="CANCELLED")
    run.recoveries.append(time.monotonic() - asked_at)

    assert run.recoveries[0] < CANCEL_SECONDS
    wait_for(lambda: training_of(worker) is None, "its training has ended", 5)
