"""The Celery application of a worker: one job at a time, woken by messages and by a look-out.

Start it with `python -m service worker`. This process and its pool never run torch: training has a
process of its own, which the pool's task only supervises.
"""

import sys
from typing import Any

from celery import Celery, signals

from service.logs import configure_logging
from service.processes import Child, Command, stop_children
from service.queue import make_celery
from service.settings import Settings
from worker.environment import settings_environment
from worker.slot import Slot
from worker.tasks import register_tasks

_LOOKOUT_GRACE_SECONDS = 10.0


def build_app(settings: Settings) -> Celery:
    """Return the application with its task and the signals that start and drain the worker."""
    celery = make_celery(settings.resolved_redis_url)
    register_tasks(celery, settings)
    lookouts: list[Child] = []

    def set_up_logging(**_: Any) -> None:
        configure_logging(settings.log_level)

    def start_lookout(sender: Any, **_: Any) -> None:
        lookouts.append(Child(_lookout_command(settings, sender.hostname)))

    def drain(sender: Any, **_: Any) -> None:
        # a warm shutdown waits for the task: ask its supervisor to put the job back
        Slot.of_worker(settings, sender).stop_holder()

    def stop_lookout(**_: Any) -> None:
        grace = settings.stop_grace_seconds + _LOOKOUT_GRACE_SECONDS
        stop_children(lookouts, grace_seconds=grace)

    signals.setup_logging.connect(set_up_logging, weak=False)
    signals.worker_ready.connect(start_lookout, weak=False)
    signals.worker_shutting_down.connect(drain, weak=False)
    signals.worker_shutdown.connect(stop_lookout, weak=False)
    return celery


def _lookout_command(settings: Settings, worker: str) -> Command:
    return Command(
        "look-out",
        (sys.executable, "-m", "worker.lookout", "--worker", worker),
        environment=settings_environment(settings),
    )


app = build_app(Settings())
