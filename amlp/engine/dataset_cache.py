"""A run's data set: opened once, by the first process, with its cache in the run's folder."""

from pathlib import Path

from amlp.data import Dataset, load_dataset
from amlp.engine.distributed import Processes
from amlp.events import Listener, Note

_CACHE_NAME = "dataset"


def cached_dataset(data: Path, out: Path, *, processes: Processes, listener: Listener) -> Dataset:
    """Return the data set in `data`; files left out of a raw one are told to the listener.

    Raises:
        DataError: nothing in `data` can be used.
    """

    def note(message: str) -> None:
        if processes.is_first:
            listener.on_event(Note(message))

    return processes.in_turn(lambda: load_dataset(data, cache=out / _CACHE_NAME, note=note))
