"""Workers that are killed, frozen and drained (rows 1, 2, 26, 29 of the matrix)."""

import signal
import time

import pytest
from sqlalchemy import select

from service.models.tables import ModelVersion
from tests.faults.cluster import LONG, QUICK, Cluster, wait_for
from tests.faults.matrix import Run
from tests.faults.nemesis import Nemesis, training_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.faults]

FEW_STEPS = QUICK | {"schedule": {"epochs": 40}}


@pytest.mark.row(1, "kill -9 training process mid-step")
def test_killed_training_ends_with_the_weights_of_an_unbroken_one(
    cluster: Cluster, nemesis: Nemesis, run: Run
) -> None:
    cluster.start_api()
    worker = cluster.start_lookout("w")
    cluster.wait(cluster.submit(FEW_STEPS), state="SUCCEEDED")
    broken = cluster.submit(FEW_STEPS)
    cluster.wait_for_step(broken)
    time.sleep(nemesis.random.uniform(0, 0.3))

    training = training_of(worker)
    assert training is not None
    training.kill()
    killed_at = time.monotonic()
    cluster.wait(broken, phase="training", epoch=2)
    run.recoveries.append(time.monotonic() - killed_at)
    cluster.wait(broken, state="SUCCEEDED", attempt=2)

    with cluster.resources.database.read() as session:
        digests = list(session.scalars(select(ModelVersion.sha256)))
    assert any("continues at step" in note for note in cluster.notes(broken))
    assert (len(digests), len(set(digests))) == (2, 1)


@pytest.mark.row(2, "kill -9 whole worker mid-job")
def test_job_of_a_killed_worker_is_taken_by_another(
    cluster: Cluster, nemesis: Nemesis, run: Run
) -> None:
    cluster.start_api()
    first = cluster.start_lookout("first")
    job = cluster.submit(QUICK | {"schedule": {"epochs": 100}})
    cluster.wait_for_step(job)
    cluster.start_lookout("second")

    nemesis.kill(first)
    killed_at = time.monotonic()

    cluster.wait(job, state="RUNNING", owner="second")
    run.recoveries.append(time.monotonic() - killed_at)
    assert cluster.wait(job, state="SUCCEEDED").attempt == 2
    settings = cluster.settings
    assert run.recoveries[0] < settings.lease_seconds + settings.reconcile_seconds + 5


@pytest.mark.row(26, "SIGTERM to a worker mid-job")
def test_drained_worker_puts_its_job_back_and_no_step_is_lost(cluster: Cluster, run: Run) -> None:
    cluster.start_api()
    worker = cluster.start_lookout("first")
    job = cluster.submit(LONG)
    cluster.wait_for_step(job)

    worker.send_signal(signal.SIGTERM)
    sent_at = time.monotonic()
    code = worker.wait(30)
    run.figures["exit s"] = round(time.monotonic() - sent_at, 2)
    back, kept = cluster.job(job), cluster.checkpoints(job)[0]
    cluster.start_lookout("second")
    wait_for(lambda: any("continues" in note for note in cluster.notes(job)), "it goes on")
    run.recoveries.append(time.monotonic() - sent_at)
    run.figures["steps lost"] = max(0, back.step - kept.step)

    assert (code, back.state, back.reason, back.attempt) == (0, "QUEUED", "preempted", 0)
    assert run.figures["steps lost"] == 0
    cluster.post(f"/v1/jobs/{job}/cancel")
    cluster.wait(job, state="CANCELLED")


@pytest.mark.row(29, "a job that kills its process at every start")
def test_poison_is_tried_three_times_and_the_next_job_runs(cluster: Cluster, run: Run) -> None:
    cluster.start_api()
    worker = cluster.start_lookout("w")
    poison = cluster.submit(LONG)
    sound = cluster.submit()

    killed: set[int] = set()
    while (job := cluster.job(poison)).state != "FAILED":
        training = training_of(worker)
        if job.state == "RUNNING" and training is not None and training.pid not in killed:
            training.send_signal(signal.SIGSEGV)
            killed.add(training.pid)
        time.sleep(0.05)
    poisoned_at = time.monotonic()
    cluster.wait(sound, state="SUCCEEDED")
    run.recoveries.append(time.monotonic() - poisoned_at)

    run.figures["attempts"] = job.attempt
    assert (len(killed), job.attempt, job.reason) == (3, 3, "poison")
