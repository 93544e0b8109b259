"""A job's success and its model are one transaction."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from service.jobs import lifecycle
from service.jobs.completion import Produced, complete
from service.jobs.recording import NewArtifact, NewEvent, record
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.models.registry import find_version
from service.models.tables import ModelVersion
from service.resources import Resources

MODEL = Produced({"loss/total": 0.5}, "pretrained", {"kind": "pretrained"})


@pytest.fixture
def fence(any_resources: Resources, submit: Callable[..., Job]) -> Fence:
    submit(any_resources)
    with any_resources.database.write() as session:
        job = lifecycle.claim(session, owner="w", lease_seconds=60)
        assert job is not None
        fence = Fence(job.id, job.epoch)
        artifact = NewArtifact(kind="model", name="m", key="k/m", sha256="c" * 64, num_bytes=1)
        record(session, fence, [NewEvent("note", {}, artifact)])
    return fence


def test_success_registers_the_model_of_the_same_epoch(
    any_resources: Resources, fence: Fence
) -> None:
    with any_resources.database.write() as session:
        job = complete(session, fence, MODEL)

    with any_resources.database.read() as session:
        version = find_version(session, "default", "skin-pretrain", 1)
    assert job is not None
    assert job.result is not None
    assert job.result["model"] == {"id": version.id, "name": "skin-pretrain", "number": 1}
    assert (version.key, version.sha256, version.job_id) == ("k/m", "c" * 64, fence.job_id)


def test_run_that_was_cancelled_registers_nothing(any_resources: Resources, fence: Fence) -> None:
    with any_resources.database.write() as session:
        lifecycle.cancel(session, "default", fence.job_id)

    with any_resources.database.write() as session:
        completed = complete(session, fence, MODEL)

    with any_resources.database.read() as session:
        assert session.scalars(select(ModelVersion)).all() == []
    assert completed is None


def test_second_completion_registers_nothing(any_resources: Resources, fence: Fence) -> None:
    for _ in range(2):
        with any_resources.database.write() as session:
            complete(session, fence, MODEL)

    with any_resources.database.read() as session:
        assert len(session.scalars(select(ModelVersion)).all()) == 1
