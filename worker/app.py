"""The Celery application of a worker: one job at a time, woken by messages and by a look-out.

Start it with `python -m service worker`. This process and its pool never run torch: training has a
process of its own, which the pool's task only supervises.
"""

import sys
import threading
import time
from typing import Any

from celery import Celery, signals

from service.logs import configure_logging
from service.processes import Command
from service.queue import make_celery
from service.settings import Settings
from worker.environment import settings_environment
from worker.lookout_keeper import LookoutKeeper
from worker.slot import Slot
from worker.tasks import register_tasks

_LOOKOUT_GRACE_SECONDS = 10.0
_DRAIN_SECONDS = 1.0


def build_app(settings: Settings) -> Celery:
    """Return the application with its task and the signals that start and drain the worker."""
    celery = make_celery(settings.resolved_redis_url)
    register_tasks(celery, settings)
    keepers: list[LookoutKeeper] = []

    def set_up_logging(**_: Any) -> None:
        configure_logging(settings.log_level)

    def start_lookout(sender: str, **_: Any) -> None:
        # before the worker looks for its broker: the look-out needs none
        grace = settings.stop_grace_seconds + _LOOKOUT_GRACE_SECONDS
        keeper = LookoutKeeper(_lookout_command(settings, sender), grace_seconds=grace)
        keeper.start()
        keepers.append(keeper)

    def drain(sender: str, **_: Any) -> None:
        for keeper in keepers:
            keeper.begin_stop()  # it must not take the job that the task puts back
        slot = Slot.of_worker(settings, sender)
        threading.Thread(target=_keep_asking, args=(slot,), daemon=True).start()

    def stop_lookout(**_: Any) -> None:
        for keeper in keepers:
            keeper.stop()

    signals.setup_logging.connect(set_up_logging, weak=False)
    signals.celeryd_after_setup.connect(start_lookout, weak=False)
    signals.worker_shutting_down.connect(drain, weak=False)
    signals.worker_shutdown.connect(stop_lookout, weak=False)
    return celery


def _keep_asking(slot: Slot) -> None:
    """Ask whoever holds the slot to put its job back, until this process has ended.

    A warm shutdown waits for the task, and a task that has just come may not hold the slot yet.
    """
    while True:
        slot.stop_holder()
        time.sleep(_DRAIN_SECONDS)


def _lookout_command(settings: Settings, worker: str) -> Command:
    return Command(
        "look-out",
        (sys.executable, "-m", "worker.lookout", "--worker", worker),
        environment=settings_environment(settings),
    )


app = build_app(Settings())
