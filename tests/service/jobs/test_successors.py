"""New jobs from ended ones, on both databases."""

from collections.abc import Callable
from typing import Any

import pytest

from amlp.config import PretrainConfig
from service.errors import Conflict, NotFound, Unprocessable
from service.jobs import lifecycle, successors
from service.jobs.recording import NewArtifact, NewEvent, record
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.resources import Resources

Submit = Callable[..., Job]


def move(resources: Resources, transition: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with resources.database.write() as session:
        return transition(session, *args, **kwargs)


def keep(resources: Resources, fence: Fence, kind: str, step: int) -> None:
    name = f"step-{step:08d}"
    artifact = NewArtifact(
        kind=kind, name=name, key=f"jobs/{name}", sha256="c" * 64, num_bytes=1, step=step
    )
    move(resources, record, fence, [NewEvent("note", {}, artifact)])


@pytest.fixture
def ended(any_resources: Resources, submit: Submit) -> Job:
    """Return a pretraining of 20 epochs that succeeded, with two checkpoints."""
    config = PretrainConfig(schedule={"epochs": 20})  # type: ignore[arg-type]  (pydantic's)
    job = submit(any_resources)
    with any_resources.database.write() as session:
        row = session.get_one(Job, job.id)
        row.spec = {**row.spec, "config": config.model_dump(mode="json")}
    claimed = move(any_resources, lifecycle.claim, owner="w", lease_seconds=60)
    fence = Fence(claimed.id, claimed.epoch)
    keep(any_resources, fence, "checkpoint", 10)
    keep(any_resources, fence, "checkpoint", 20)
    keep(any_resources, fence, "model", 20)
    return move(any_resources, lifecycle.succeed, fence, artifact_kind="model")


def test_retry_of_an_ended_job_is_a_new_job(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources, idempotency_key="k1")
    move(any_resources, lifecycle.cancel, "default", job.id)

    again, _ = move(any_resources, successors.retry_as_new, "default", job.id)

    assert (again.state, again.parent_id) == ("QUEUED", job.id)
    with any_resources.database.read() as session:
        assert session.get_one(Job, job.id).state == "CANCELLED"


def test_job_that_has_not_ended_cannot_be_retried(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)

    with pytest.raises(Conflict):
        move(any_resources, successors.retry_as_new, "default", job.id)


def test_extension_is_a_longer_job_from_the_last_checkpoint(
    any_resources: Resources, ended: Job
) -> None:
    longer, _ = move(any_resources, successors.extend, "default", ended.id, epochs=5)

    assert (longer.state, longer.parent_id, longer.attempt) == ("QUEUED", ended.id, 0)
    assert longer.spec["config"]["schedule"]["epochs"] == 25
    assert longer.spec["continues"] == {"key": "jobs/step-00000020", "name": "step-00000020"}
    assert ended.spec["config"]["schedule"]["epochs"] == 20


def test_same_key_extends_once_and_refuses_another_request(
    any_resources: Resources, ended: Job
) -> None:
    def ask(epochs: int) -> tuple[Job, bool]:
        return move(
            any_resources,
            successors.extend,
            "default",
            ended.id,
            epochs=epochs,
            idempotency_key="k1",
        )

    (first, was_known), (second, is_known) = ask(5), ask(5)

    assert (second.id, was_known, is_known) == (first.id, False, True)
    with pytest.raises(Unprocessable, match="from a different request"):
        ask(6)


def test_same_key_retries_once(any_resources: Resources, submit: Submit) -> None:
    job = submit(any_resources)
    move(any_resources, lifecycle.cancel, "default", job.id)

    answers = [
        move(any_resources, successors.retry_as_new, "default", job.id, idempotency_key="k1")
        for _ in range(2)
    ]

    assert answers[0][0].id == answers[1][0].id
    assert [is_known for _, is_known in answers] == [False, True]


def test_extension_beyond_what_a_run_may_have_is_refused(
    any_resources: Resources, ended: Job
) -> None:
    with pytest.raises(Unprocessable) as caught:
        move(any_resources, successors.extend, "default", ended.id, epochs=100_000)

    assert caught.value.faults[0].pointer == "/epochs"


def test_job_that_has_not_succeeded_cannot_be_extended(
    any_resources: Resources, submit: Submit
) -> None:
    job = submit(any_resources)

    with pytest.raises(Conflict, match="is pretrain and QUEUED"):
        move(any_resources, successors.extend, "default", job.id, epochs=1)


def test_job_of_another_tenant_cannot_be_extended(any_resources: Resources, ended: Job) -> None:
    with pytest.raises(NotFound):
        move(any_resources, successors.extend, "other", ended.id, epochs=1)
