"""Canonical files and their storage: put before the rows that name them, taken back with them."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from service.datasets.catalog import lock_dataset
from service.datasets.tables import Dataset, DatasetFile
from service.resources import Resources
from service.storage import Storage

PARALLEL_PUTS = 8


@contextmanager
def stored(resources: Resources, dataset: Dataset, blobs: Mapping[str, Path]) -> Iterator[None]:
    """Put `blobs` into storage for the time of the block; keep them if it ends well.

    When it fails, those that were put now and that no row names are removed again.
    """
    storage = resources.storage
    prefix = f"datasets/{dataset.id}"
    missing = _missing(storage, prefix, blobs)
    try:
        _put(storage, missing)
        yield
    except BaseException:
        _take_back(resources, dataset, missing)
        raise
    # a failed upload of the same files may have taken back a blob that our rows name since
    _put(storage, _missing(storage, prefix, blobs))


def _missing(storage: Storage, prefix: str, blobs: Mapping[str, Path]) -> dict[str, Path]:
    present = set(storage.keys(prefix))
    return {key: path for key, path in blobs.items() if key not in present}


def _put(storage: Storage, blobs: Mapping[str, Path]) -> None:
    with ThreadPoolExecutor(PARALLEL_PUTS) as pool:
        for _ in pool.map(storage.put_file, blobs.keys(), blobs.values()):
            pass


def _take_back(resources: Resources, dataset: Dataset, keys: Iterable[str]) -> None:
    with resources.database.write() as session:
        lock_dataset(session, dataset.tenant_id, dataset.id)
        columns = (DatasetFile.key, DatasetFile.thumbnail_key)
        rows = session.execute(select(*columns).where(DatasetFile.dataset_id == dataset.id))
        named = {key for row in rows for key in row}
        resources.storage.delete([key for key in keys if key not in named])
