"""Blobs: files under keys, in a folder or in an object store, through one interface (obstore).

Keys are made by the service from its own identifiers; nothing a client sends becomes a path.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from service.errors import NotFound, StorageExhausted

CHUNK_BYTES = 8 * 1024 * 1024


class Storage:
    """A blob store, by URL: `file:///folder` or `s3://bucket/prefix`."""

    def __init__(self, url: str, *, min_free_bytes: int = 0) -> None:
        self._folder = Path(unquote(urlparse(url).path)) if url.startswith("file:") else None
        self._min_free_bytes = min_free_bytes
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store: ObjectStore = LocalStore(self._folder, automatic_cleanup=True)
        else:
            self._store = from_url(url)

    def put_file(self, key: str, path: Path) -> None:
        """Store the file at `path` under `key`; readers see all of it or nothing.

        Raises:
            StorageExhausted: too little space is left.
        """
        self.require_space(path.stat().st_size)
        with path.open("rb") as file:
            obstore.put(self._store, key, file)

    def put_bytes(self, key: str, content: bytes) -> None:
        """Store `content` under `key`."""
        self.require_space(len(content))
        obstore.put(self._store, key, content)

    def get_bytes(self, key: str) -> bytes:
        """Return the whole blob.

        Raises:
            NotFound: there is none under this key.
        """
        return b"".join(self.stream(key))

    def stream(self, key: str) -> Iterator[bytes]:
        """Yield the blob in chunks; raises NotFound before the first."""
        try:
            result = obstore.get(self._store, key)
        except (NotFoundError, FileNotFoundError) as error:
            raise NotFound("stored object is gone", code="not-found") from error
        return (bytes(chunk) for chunk in result.stream(min_chunk_size=CHUNK_BYTES))

    def get_file(self, key: str, path: Path) -> None:
        """Copy the blob to `path`, whose folder is made if need be."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for chunk in self.stream(key):
                file.write(chunk)

    def size(self, key: str) -> int:
        """Return the blob's size in bytes.

        Raises:
            NotFound: there is none under this key.
        """
        try:
            return int(obstore.head(self._store, key)["size"])
        except (NotFoundError, FileNotFoundError) as error:
            raise NotFound("stored object is gone", code="not-found") from error

    def exists(self, key: str) -> bool:
        """Whether there is a blob under this key."""
        try:
            self.size(key)
        except NotFound:
            return False
        return True

    def keys(self, prefix: str) -> list[str]:
        """Return all keys below `prefix`, sorted."""
        pages = obstore.list(self._store, prefix)
        return sorted(str(blob["path"]) for page in pages for blob in page)

    def delete(self, keys: list[str]) -> None:
        """Delete blobs; those that are gone already do not matter."""
        for key in keys:
            try:
                obstore.delete(self._store, key)
            except (NotFoundError, FileNotFoundError):
                continue

    def require_space(self, num_bytes: int) -> None:
        """Raise StorageExhausted unless `num_bytes` fit; object stores always pass."""
        if self._folder is None:
            return
        free = shutil.disk_usage(self._folder).free
        if free - num_bytes < self._min_free_bytes:
            raise StorageExhausted(
                f"{num_bytes} bytes do not fit: {free} bytes are free, "
                f"{self._min_free_bytes} of them are kept in reserve"
            )

    def is_writable(self) -> bool:
        """Whether a small blob can be written now."""
        try:
            self.put_bytes("health/probe", b"ok")
        except (OSError, obstore.exceptions.BaseError, StorageExhausted):
            return False
        return True
