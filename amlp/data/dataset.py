"""A data set on disk: canonical folders as they are, raw ones canonicalised once into a cache."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from amlp.imageio import Issue, read_folder
from amlp.manifest import MANIFEST_NAME, Manifest

_NUM_NAMED = 3


class Dataset(NamedTuple):
    """A manifest and the folder that its file names are relative to."""

    root: Path
    manifest: Manifest


def load_dataset(folder: Path, *, cache: Path, note: Callable[[str], None]) -> Dataset:
    """Return the data set in `folder`, canonical (`manifest.json`) or raw (`images/`, `masks/`).

    Args:
        folder: what the user gave.
        cache: where the canonical form of a raw folder is kept while the folder is unchanged.
        note: told what was left out of a raw folder or remarked on, one message a kind.

    Raises:
        DataError: the folder is neither, or nothing in it can be used.
    """
    if (folder / MANIFEST_NAME).is_file():
        return Dataset(folder, Manifest.load(folder))
    root = cache / _fingerprint(folder)
    if not (root / MANIFEST_NAME).is_file():
        root.mkdir(parents=True, exist_ok=True)
        _, issues = read_folder(folder, root, name=folder.name)
        for finding in _findings(issues):
            note(finding)
    return Dataset(root, Manifest.load(root))


def _findings(issues: Sequence[Issue]) -> list[str]:
    """Return one line for each kind of issue: its first message, and whom else it is about."""
    by_code: dict[str, list[Issue]] = {}
    for issue in issues:
        by_code.setdefault(issue.code, []).append(issue)
    return [_summary(alike) for alike in by_code.values()]


def _summary(alike: Sequence[Issue]) -> str:
    line = f"{alike[0].subject}: {alike[0].message}"
    if len(alike) == 1:
        return line
    named = ", ".join(issue.subject for issue in alike[1:_NUM_NAMED])
    unnamed = f" and {len(alike) - _NUM_NAMED} more" if len(alike) > _NUM_NAMED else ""
    return f"{line}; likewise {named}{unnamed}"


def _fingerprint(folder: Path) -> str:
    """Return a short digest of names, sizes and times of the folder's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            entry = f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}\n"
            digest.update(entry.encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
