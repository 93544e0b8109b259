"""Objects that no row names, removed a day after their job's end."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from service.database import db_now
from service.jobs import lifecycle
from service.jobs.recording import NewArtifact, NewEvent, record
from service.jobs.sweep import ORPHAN_SECONDS, sweep_orphans
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.resources import Resources

Submit = Callable[..., Job]


@pytest.fixture
def ended(resources: Resources, submit: Submit) -> str:
    """Return the id of a failed job that left three files, two of which rows name."""
    job = submit(resources)
    with resources.database.write() as session:
        claimed = lifecycle.claim(session, owner="w", lease_seconds=60)
        assert claimed is not None
        fence = Fence(job.id, claimed.epoch)
        kept = [
            NewArtifact("checkpoint", "step-2", f"jobs/{job.id}/e1/checkpoints/step-2", "c", 1),
            NewArtifact("picture", "p.png", f"jobs/{job.id}/e1/pictures/p.png", "c", 1),
        ]
        record(session, fence, [NewEvent("note", {}, one) for one in kept])
        lifecycle.fail(session, fence, reason="diverged", error={"code": "x", "message": "y"})
    for name in ("checkpoints/step-1/w", "checkpoints/step-2/w", "pictures/p.png"):
        resources.storage.put_bytes(f"jobs/{job.id}/e1/{name}", b"content")
    return job.id


def end_long_ago(resources: Resources) -> None:
    with resources.database.write() as session:
        session.execute(update(Job).values(finished_at=db_now() - ORPHAN_SECONDS - 1))


def test_what_no_row_names_is_deleted_and_the_rest_stays(resources: Resources, ended: str) -> None:
    end_long_ago(resources)

    assert sweep_orphans(resources) == 1

    assert resources.storage.keys(f"jobs/{ended}") == [
        f"jobs/{ended}/e1/checkpoints/step-2/w",
        f"jobs/{ended}/e1/pictures/p.png",
    ]


def test_job_that_has_just_ended_is_left_alone(resources: Resources, ended: str) -> None:
    assert sweep_orphans(resources) == 0

    assert len(resources.storage.keys(f"jobs/{ended}")) == 3


def test_job_is_swept_once(resources: Resources, ended: str) -> None:
    end_long_ago(resources)
    sweep_orphans(resources)
    resources.storage.put_bytes(f"jobs/{ended}/e1/late", b"content")

    assert sweep_orphans(resources) == 0


def test_running_job_is_never_swept(resources: Resources, submit: Submit) -> None:
    job = submit(resources)
    resources.storage.put_bytes(f"jobs/{job.id}/e1/checkpoints/step-1/w", b"content")
    end_long_ago(resources)

    assert sweep_orphans(resources) == 0


def test_round_takes_a_few_jobs_only(resources: Resources, submit: Submit) -> None:
    for _ in range(3):
        job = submit(resources)
        with resources.database.write() as session:
            lifecycle.cancel(session, "default", job.id)
        resources.storage.put_bytes(f"jobs/{job.id}/e1/orphan", b"content")
    end_long_ago(resources)

    assert [sweep_orphans(resources, max_jobs=2) for _ in range(3)] == [2, 1, 0]
