"""Replays the history of every job and says where it breaks the state machine's promises."""

import itertools
from collections.abc import Iterator, Sequence

from sqlalchemy import select

from service.database import Database
from service.jobs.tables import TERMINAL_STATES, Job, JobEvent
from service.models.tables import ModelVersion

CANCEL_SECONDS = 10.0
ALLOWED = {
    (None, "QUEUED"),
    ("QUEUED", "RUNNING"),
    ("QUEUED", "CANCELLED"),
    ("QUEUED", "FAILED"),
    ("RUNNING", "QUEUED"),
    ("RUNNING", "CANCELLING"),
    ("RUNNING", "SUCCEEDED"),
    ("RUNNING", "FAILED"),
    ("CANCELLING", "CANCELLED"),
}


def find_violations(database: Database, accepted: Sequence[str]) -> list[str]:
    """Return what is wrong with the jobs; `accepted` are the ids that were answered with 202."""
    with database.read() as session:
        jobs = list(session.scalars(select(Job)))
        events = list(session.scalars(select(JobEvent).order_by(JobEvent.job_id, JobEvent.seq)))
        models = list(session.scalars(select(ModelVersion)))
    lost = set(accepted) - {job.id for job in jobs}
    found = [f"{job_id} was accepted and is gone" for job_id in sorted(lost)]
    for job in jobs:
        own = [event for event in events if event.job_id == job.id]
        made = [model for model in models if model.job_id == job.id]
        found += [f"{job.id}: {what}" for what in _of_job(job, own, made)]
    return found


def _of_job(job: Job, events: list[JobEvent], models: list[ModelVersion]) -> Iterator[str]:
    states = [event for event in events if event.type == "state"]
    yield from _of_order(events)
    yield from _of_moves(states)
    last = states[-1]
    if last.data["to"] != job.state:
        yield f"is {job.state}, its last event says {last.data['to']}"
    if job.attempt > job.max_attempts:
        yield f"attempt {job.attempt} of {job.max_attempts}"
    num_due = int(job.state == "SUCCEEDED")
    if len(models) != num_due:
        yield f"is {job.state} with {len(models)} registered models, expected {num_due}"
    for model in models:
        if not model.key.startswith(f"jobs/{job.id}/e{last.epoch}/"):
            yield f"succeeded in epoch {last.epoch} with the model {model.key}"


def _of_order(events: list[JobEvent]) -> Iterator[str]:
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        yield "its events are not numbered without gaps"
    for before, after in itertools.pairwise(events):
        if after.epoch < before.epoch:
            yield f"event {after.seq} of epoch {after.epoch} follows one of {before.epoch}"


def _of_moves(states: list[JobEvent]) -> Iterator[str]:
    ends = [event for event in states if event.data["to"] in TERMINAL_STATES]
    if len(ends) > 1 or (ends and ends[0] is not states[-1]):
        yield f"has {len(ends)} ends"
    state, epoch, asked_at = None, -1, 0.0
    for event in states:
        move = (event.data["from"], event.data["to"])
        if move not in ALLOWED or move[0] != state:
            yield f"moved from {move[0]} to {move[1]} while {state}"
        if move[1] == "RUNNING" and event.epoch <= epoch:
            yield f"claimed with epoch {event.epoch} after {epoch}"
        if move[1] == "CANCELLED" and move[0] == "CANCELLING":
            seconds = event.at - asked_at
            if seconds > CANCEL_SECONDS:
                yield f"took {seconds:.1f} s to cancel, expected at most {CANCEL_SECONDS:.0f}"
        state, epoch, asked_at = move[1], event.epoch, event.at
