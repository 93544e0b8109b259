"""The look-out: `python -m worker.lookout`, a process beside the worker that needs no broker.

It takes due jobs from the table whenever the worker is idle, so that a lost message or a broker
that is down costs seconds and no job. It also runs the reconciler. It could run alone: a worker
without Celery.
"""

import argparse
import socket
import threading
from contextlib import closing

import structlog
from sqlalchemy.exc import DBAPIError

from service.jobs.reconciler import Reconciler
from service.logs import configure_logging
from service.resources import Resources, open_resources
from service.settings import Settings
from worker.slot import Slot
from worker.stop import stop_on_sigterm
from worker.supervisor import run_job

POLL_SECONDS = 15.0

_log = structlog.get_logger(__name__)


def look_out(
    resources: Resources, *, worker: str, stop: threading.Event, poll_seconds: float = POLL_SECONDS
) -> None:
    """Run due jobs whenever the worker's slot is free, until `stop` is set."""
    slot = Slot.of_worker(resources.settings, worker)
    while not stop.wait(poll_seconds):
        try:
            with slot.take() as free:
                while free and not stop.is_set() and run_job(resources, owner=worker, stop=stop):
                    pass
        except DBAPIError as error:
            _log.warning("lookout.database_down", error=type(error).__name__)


def main() -> None:
    """Look out until SIGTERM."""
    parser = argparse.ArgumentParser(description="Run due jobs from the table")
    parser.add_argument("--worker", default=f"lookout@{socket.gethostname()}")
    parser.add_argument("--poll-seconds", type=float, default=POLL_SECONDS)
    arguments = parser.parse_args()
    settings = Settings()
    configure_logging(settings.log_level)
    with stop_on_sigterm() as stop, closing(open_resources(settings)) as resources:
        reconciler = Reconciler(resources)
        reconciler.start()
        look_out(resources, worker=arguments.worker, stop=stop, poll_seconds=arguments.poll_seconds)
        reconciler.stop()


if __name__ == "__main__":
    main()
