"""Checkpoints that are damaged, and a disk that is full (rows 12 and 17)."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.jobs.tables import JobArtifact
from tests.faults.cluster import LONG, QUICK, Cluster
from tests.faults.matrix import Run
from tests.faults.nemesis import Nemesis

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.faults]

MIDDLING = QUICK | {"schedule": {"epochs": 150}, "checkpoint_every": 10}


@pytest.mark.row(12, "disk of the worker full during a checkpoint")
def test_full_disk_fails_a_job_by_name_and_loses_nothing(
    cluster: Cluster,
    nemesis: Nemesis,
    tmpfs: Callable[[Path, str], list[str]],
    run: Run,
) -> None:
    scratch = cluster.settings.data_dir / "scratch"
    scratch.mkdir()
    cluster.start_api()
    lookout = (sys.executable, "-m", "worker.lookout", "--poll-seconds", "0.3")
    small = cluster.start([*tmpfs(scratch, "300k"), *lookout, "--worker", "small"])
    job = cluster.submit(LONG, max_attempts=1)

    failed = cluster.wait(job, state="FAILED")
    nemesis.kill(small)
    failed_at = time.monotonic()
    cluster.start_lookout("large")
    again = cluster.submit()
    cluster.wait(again, state="SUCCEEDED")
    run.recoveries.append(time.monotonic() - failed_at)

    run.figures["bytes leaked"] = sum(
        path.stat().st_size for path in (scratch / "jobs").rglob("*") if path.is_file()
    )
    assert failed.reason == "disk_full"
    assert run.figures["bytes leaked"] == 0


DAMAGE = ["flip_bit"]


def stored_weights(cluster: Cluster, artifact: JobArtifact) -> Path:
    return cluster.settings.data_dir / "objects" / artifact.key / "weights.safetensors"


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.row(17, "newest checkpoint damaged")
def test_damaged_checkpoint_is_passed_over_for_the_one_before(
    cluster: Cluster, nemesis: Nemesis, run: Run, damage: str
) -> None:
    cluster.start_api()
    first = cluster.start_lookout("first")
    job = cluster.submit(MIDDLING)
    cluster.wait_for_step(job, num_checkpoints=2)
    nemesis.kill(first)
    newest, before = cluster.checkpoints(job)[:2]
    getattr(nemesis, damage)(stored_weights(cluster, newest))

    cluster.start_lookout("second")
    damaged_at = time.monotonic()
    cluster.wait(job, state="SUCCEEDED")
    run.recoveries.append(time.monotonic() - damaged_at)

    run.figures["steps lost"] = newest.step - before.step
    assert any(f"continues at step {before.step}:" in note for note in cluster.notes(job))
