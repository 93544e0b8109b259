"""Every end of a training process and the transition it becomes."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from service.jobs import lifecycle, pausing
from service.jobs.recording import NewArtifact, NewEvent, record
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.resources import Resources
from worker.outcome import Outcome
from worker.settlement import Ending, settle

SUCCEEDED = Outcome(status="succeeded", model_kind="pretrained", card={"kind": "pretrained"})
STOPPED = Outcome(status="stopped")
TRANSIENT = Outcome(
    status="failed", reason="disk_full", code="storage.full", message="full", retryable=True
)
FATAL = Outcome(
    status="failed", reason="diverged", code="training.diverged", message="NaN at step 3"
)


@pytest.fixture
def fence(
    worker_resources: Resources, submit: Callable[..., Job], claim: Callable[[], Fence]
) -> Fence:
    submit()
    fence = claim()
    model = NewArtifact(kind="model", name="model", key="k", sha256="c" * 64, num_bytes=1)
    with worker_resources.database.write() as session:
        record(session, fence, [NewEvent("note", {}, model)])
    return fence


@pytest.mark.parametrize(
    ("ending", "state", "reason"),
    [
        (Ending(0, "", SUCCEEDED), "SUCCEEDED", None),
        (Ending(3, "preempt", STOPPED), "QUEUED", "preempted"),
        (Ending(-9, "preempt", None), "QUEUED", "preempted"),
        (Ending(1, "", TRANSIENT), "QUEUED", "disk_full"),
        (Ending(1, "", FATAL), "FAILED", "diverged"),
        (Ending(-11, "", None), "QUEUED", "crashed"),
        (Ending(-9, "", None), "QUEUED", "crashed"),
        (Ending(-9, "", None, memory_ran_out=True), "QUEUED", "oom_killed"),
        (Ending(-11, "", None, memory_ran_out=True), "QUEUED", "crashed"),
        (Ending(-40, "", None), "QUEUED", "crashed"),
    ],
)
def test_ending_of_a_running_job(
    worker_resources: Resources,
    fence: Fence,
    read_job: Callable[[str], Job],
    ending: Ending,
    state: str,
    reason: str | None,
) -> None:
    settle(worker_resources, fence, ending)

    job = read_job(fence.job_id)
    assert (job.state, job.reason) == (state, reason)


@pytest.mark.parametrize(
    "ending",
    [
        Ending(0, "cancel", SUCCEEDED),
        Ending(3, "cancel", STOPPED),
        Ending(1, "cancel", FATAL),
        Ending(-9, "cancel", None),
    ],
)
def test_cancelled_job_ends_cancelled_however_its_process_ended(
    worker_resources: Resources, fence: Fence, read_job: Callable[[str], Job], ending: Ending
) -> None:
    with worker_resources.database.write() as session:
        lifecycle.cancel(session, "default", fence.job_id)

    settle(worker_resources, fence, ending)

    assert read_job(fence.job_id).state == "CANCELLED"


@pytest.mark.parametrize("ending", [Ending(3, "pause", STOPPED), Ending(-9, "pause", None)])
def test_job_that_was_asked_to_pause_waits_paused(
    worker_resources: Resources, fence: Fence, read_job: Callable[[str], Job], ending: Ending
) -> None:
    with worker_resources.database.write() as session:
        pausing.pause(session, "default", fence.job_id)

    settle(worker_resources, fence, ending)

    job = read_job(fence.job_id)
    assert (job.state, job.reason, job.attempt) == ("QUEUED", "paused", 0)


def test_fenced_owner_changes_nothing(
    worker_resources: Resources, fence: Fence, read_job: Callable[[str], Job]
) -> None:
    stale = Fence(fence.job_id, fence.epoch - 1)

    settle(worker_resources, stale, Ending(0, "fenced", SUCCEEDED))

    assert read_job(fence.job_id).state == "RUNNING"


def test_error_of_a_failed_run_says_what_happened_and_what_to_do(
    worker_resources: Resources, fence: Fence, read_job: Callable[[str], Job]
) -> None:
    settle(worker_resources, fence, Ending(1, "", FATAL))

    error = read_job(fence.job_id).error
    assert error is not None
    assert error["code"] == "training.diverged"
    assert error["message"].startswith("NaN at step 3. Use a smaller learning rate")


def test_last_attempt_that_was_killed_for_its_memory_is_not_called_poison(
    worker_resources: Resources, fence: Fence, read_job: Callable[[str], Job]
) -> None:
    with worker_resources.database.write() as session:
        session.execute(update(Job).values(max_attempts=1))

    settle(worker_resources, fence, Ending(-9, "", None, memory_ran_out=True))

    job = read_job(fence.job_id)
    assert (job.state, job.reason, job.crash_count) == ("FAILED", "oom_killed", 1)


def test_crash_of_the_last_attempt_after_a_checkpoint_is_not_poison(
    worker_resources: Resources, fence: Fence, read_job: Callable[[str], Job]
) -> None:
    kept = NewArtifact(kind="checkpoint", name="step-1", key="c", sha256="c" * 64, num_bytes=1)
    with worker_resources.database.write() as session:
        record(session, fence, [NewEvent("checkpoint", {}, kept)])
        session.execute(update(Job).values(max_attempts=1, crash_count=2))

    settle(worker_resources, fence, Ending(-11, "", None))

    job = read_job(fence.job_id)
    assert (job.state, job.reason, job.crash_count) == ("FAILED", "crashed", 0)
