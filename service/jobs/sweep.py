"""Objects in storage that no row names: what attempts that were broken off left behind."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.database import db_now
from service.jobs.tables import TERMINAL_STATES, Job, JobArtifact
from service.resources import Resources

ORPHAN_SECONDS = 86400.0
JOBS_A_ROUND = 10


def sweep_orphans(resources: Resources, *, max_jobs: int = JOBS_A_ROUND) -> int:
    """Delete the orphans of jobs that ended a day ago, a few jobs at a time; return their number.

    Each job is swept once: nothing writes to a job's prefix so long after its end. A sweep that
    breaks off is repeated, and two at once are harmless.
    """
    with resources.database.read() as session:
        ended = _ended_long_ago(session, max_jobs)
    num_deleted = 0
    for job_id in ended:
        with resources.database.read() as session:
            named = _named_keys(session, job_id)
        keys = resources.storage.keys(f"jobs/{job_id}")
        orphans = [key for key in keys if not _is_named(key, named)]
        resources.storage.delete(orphans)
        num_deleted += len(orphans)
    if ended:
        with resources.database.write() as session:
            session.execute(update(Job).where(Job.id.in_(ended)).values(swept_at=db_now()))
    return num_deleted


def _ended_long_ago(session: Session, max_jobs: int) -> list[str]:
    return list(
        session.scalars(
            select(Job.id)
            .where(
                Job.state.in_(TERMINAL_STATES),
                Job.swept_at.is_(None),
                Job.finished_at < db_now() - ORPHAN_SECONDS,
            )
            .order_by(Job.id)
            .limit(max_jobs)
        )
    )


def _named_keys(session: Session, job_id: str) -> set[str]:
    return set(session.scalars(select(JobArtifact.key).where(JobArtifact.job_id == job_id)))


def _is_named(key: str, named: set[str]) -> bool:
    """Whether a row names the object, or the folder it lies in."""
    return key in named or key.rpartition("/")[0] in named
