"""The look-out outlives a database that is away."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.database import Database
from service.resources import Resources
from worker.lookout import look_out


class FailingDatabase(Database):
    """A database that is away; the third try to reach it ends the test."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        super().__init__(url)
        self.tries = 0
        self._stop = stop

    @contextmanager
    def write(self) -> Iterator[Session]:
        self.tries += 1
        if self.tries == 3:
            self._stop.set()
        raise OperationalError("connect", {}, ConnectionError())
        yield


def test_look_out_tries_again_while_the_database_is_away(worker_resources: Resources) -> None:
    stop = threading.Event()
    database = FailingDatabase(worker_resources.settings.resolved_database_url, stop)

    look_out(replace(worker_resources, database=database), worker="w", stop=stop, poll_seconds=0.01)

    database.close()
    assert database.tries == 3
