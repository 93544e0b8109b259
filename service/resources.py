"""What every process of the service holds open: settings, database, storage, queue."""

from dataclasses import dataclass

from service.database import Database
from service.queue import Queue
from service.settings import Settings
from service.storage import Storage


@dataclass(frozen=True)
class Resources:
    """The outside world of one process."""

    settings: Settings
    database: Database
    storage: Storage
    queue: Queue

    def close(self) -> None:
        """Close what is open."""
        self.queue.close()
        self.database.close()


def open_resources(settings: Settings) -> Resources:
    """Open everything that `settings` name."""
    return Resources(
        settings=settings,
        database=Database(settings.resolved_database_url),
        storage=Storage(settings.resolved_storage_url, min_free_bytes=settings.min_free_bytes),
        queue=Queue(settings.resolved_redis_url),
    )
