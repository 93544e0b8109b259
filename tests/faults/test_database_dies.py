"""A database that restarts, or is behind a broken network (rows 9 and 23)."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from sqlalchemy import make_url

from tests.faults.cluster import LONG, QUICK, Cluster, wait_for
from tests.faults.conftest import OwnPostgresql
from tests.faults.matrix import Run
from tests.faults.nemesis import training_of
from tests.faults.proxy import proxied, tcp, unix_socket

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.faults]

OWN = pytest.mark.parametrize("database_kind", ["own postgresql"])
MIDDLING = QUICK | {"schedule": {"epochs": 300}, "checkpoint_every": 10}


@contextmanager
def asking(cluster: Cluster) -> Iterator[Counter[int]]:
    """Ask the API for its jobs all the time; count the answers by status."""
    counts: Counter[int] = Counter()
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(0.05):
            answer = cluster.get("/v1/jobs")
            counts[answer.status_code] += 1
            if answer.status_code == 503 and "Retry-After" not in answer.headers:
                counts[0] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield counts
    finally:
        is_over.set()
        thread.join()


@OWN
@pytest.mark.row(9, "PostgreSQL restarted at once mid-job")
def test_job_outlives_a_restart_of_the_database(
    cluster: Cluster, own_postgresql: OwnPostgresql, run: Run
) -> None:
    cluster.start_api()
    cluster.start_lookout("w")
    job = cluster.submit(MIDDLING)
    cluster.wait_for_step(job)

    with asking(cluster) as answers:
        restarted_at = time.monotonic()
        own_postgresql.control("-m", "immediate", "restart")
        wait_for(lambda: cluster.get("/v1/jobs").status_code == 200, "the API answers again")
        run.recoveries.append(time.monotonic() - restarted_at)
    ended = cluster.wait(job, state="SUCCEEDED")

    run.figures["answers 503"] = answers[503]
    assert set(answers) <= {200, 503}
    assert ended.attempt == 1


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.row(23, "network between worker and database holds everything back")
def test_training_stands_still_while_the_database_does_not_answer(
    cluster: Cluster, run: Run
) -> None:
    url = make_url(cluster.settings.resolved_database_url)
    host = str(url.query.get("host", url.host))
    port = url.port or 5432
    dial = unix_socket(f"{host}/.s.PGSQL.{port}") if host.startswith("/") else tcp(host, port)
    cluster.start_api()
    with proxied(dial) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port, query={})
        worker = cluster.start_lookout(
            "w", database_url=through.render_as_string(hide_password=False)
        )
        job = cluster.submit(LONG)
        cluster.wait_for_step(job)
        training = training_of(worker)
        assert training is not None

        proxy.mode = "hold"
        held_at = time.monotonic()
        wait_for(lambda: training.status() == psutil.STATUS_STOPPED, "it stands still", 10)
        run.figures["stands still after s"] = round(time.monotonic() - held_at, 2)
        cluster.wait(job, state="QUEUED", reason="worker_lost")
        proxy.reset()
        proxy.mode = "pass"
        passed_at = time.monotonic()
        cluster.wait(job, state="RUNNING", epoch=3)
        run.recoveries.append(time.monotonic() - passed_at)
        cluster.post(f"/v1/jobs/{job}/cancel")
        cluster.wait(job, state="CANCELLED")
        worker.send_signal(signal.SIGTERM)
        worker.wait(20)

    assert run.figures["stands still after s"] < cluster.settings.lease_seconds
