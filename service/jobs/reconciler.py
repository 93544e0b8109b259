"""The reconciler: what must happen to jobs when nobody is there to do it.

Every API and worker process runs one; a lock in the database lets one at a time through, and since
each step is idempotent two at once would be harmless.
"""

import threading
from dataclasses import asdict, dataclass

import structlog
from obstore.exceptions import BaseError
from sqlalchemy import func, or_, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.database import db_now
from service.jobs.expiry import expire_lost, expire_queued, force_cancels
from service.jobs.sweep import sweep_orphans
from service.jobs.tables import Job
from service.resources import Resources

REPUBLISH_SECONDS = 30.0
WAKEUPS_A_WORKER = 2
MAX_WAITING_WAKEUPS = 50

_LOCK_KEY = 0x616D6C70
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Tally:
    """What one round did."""

    lost: int = 0
    cancelled: int = 0
    expired: int = 0
    published: int = 0


def reconcile(resources: Resources) -> Tally:
    """Do one round: lost jobs, overdue cancels, expired waits, wake-ups that may be lost."""
    settings = resources.settings
    # busy workers leave wake-ups where they are: without a bound days of them would pile up
    waiting = resources.queue.num_waiting()
    with resources.database.write() as session:
        if not _alone(session):
            return Tally()
        lost = expire_lost(session)
        cancelled = force_cancels(session, timeout_seconds=settings.cancel_timeout_seconds)
        expired = expire_queued(session, ttl_seconds=settings.queue_ttl_seconds)
        is_publishing = waiting is not None and waiting < MAX_WAITING_WAKEUPS
        unpublished = _take_unpublished(session) if is_publishing else []
    published = 0
    for job_id in unpublished:
        if not resources.queue.publish(job_id):  # each further try would wait in vain
            break
        published += 1
    return Tally(len(lost), len(cancelled), len(expired), published)


class Reconciler:
    """A thread that reconciles at an interval until it is stopped."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for the round it is in."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._resources.settings.reconcile_seconds):
            try:
                tally = reconcile(self._resources)
                num_orphans = sweep_orphans(self._resources)
            except (DBAPIError, BaseError, OSError) as error:
                _log.warning("reconciler.round_failed", error=type(error).__name__)
                continue
            for what, count in asdict(tally).items():
                if count:
                    _log.info(f"jobs.{what}", num_jobs=count)
            if num_orphans:
                _log.info("storage.orphans_deleted", num_objects=num_orphans)


def _alone(session: Session) -> bool:
    """Take the reconcilers' lock for this transaction; SQLite's write lock is that already."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    return bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK_KEY}))


def _take_unpublished(session: Session) -> list[str]:
    """Return the due jobs whose wake-up may be lost, oldest first, a few for each worker.

    Not all: ten thousand jobs that wait for busy workers must not flood the broker.
    """
    owners = select(func.count(func.distinct(Job.owner))).where(Job.state == "RUNNING")
    num_workers = session.scalar(owners) or 0
    oldest = (
        select(Job.id)
        .where(
            Job.state == "QUEUED",
            Job.next_run_at <= db_now(),
            Job.pause_requested_at.is_(None),
        )
        .order_by(Job.next_run_at, Job.id)
        .limit(WAKEUPS_A_WORKER * (num_workers + 1))
        .subquery()
    )
    unheard = or_(
        Job.last_published_at.is_(None), Job.last_published_at < db_now() - REPUBLISH_SECONDS
    )
    published = session.scalars(
        update(Job)
        .where(Job.id.in_(select(oldest.c.id)), unheard)
        .values(last_published_at=db_now())
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(published)
