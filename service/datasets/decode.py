"""Decodes the files of an upload in limited processes, never in the API's own."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from amlp.errors import AmlpError, DataError, UnreadableImage
from amlp.imageio import (
    CanonicaliseJob,
    CanonicaliseResult,
    ImageLimits,
    ProcessLimits,
    canonicalise_files,
)
from amlp.imageio.pairing import check_stem, stem_of
from service.datasets.receive import ReceivedFile
from service.datasets.refusal import Refusals
from service.datasets.tables import Dataset
from service.errors import Unprocessable
from service.problems import as_service_error
from service.settings import Settings
from service.validation import joined, printable

MAX_READERS = 4

FileKey = tuple[str, str]
"""Role and stem: what names a file in its data set."""


@dataclass(frozen=True)
class Incoming:
    """A file of the upload, decoded."""

    received: ReceivedFile
    stem: str
    result: CanonicaliseResult
    folder: Path

    @property
    def key(self) -> FileKey:
        """Role and stem."""
        return self.received.role, self.stem

    @property
    def suffix(self) -> str:
        """Suffix of the canonical file."""
        return self.result.file[self.result.file.index(".") :]


def checked_stems(files: Sequence[ReceivedFile]) -> list[str]:
    """Return the stem of each file; names that cannot pair are refused.

    Raises:
        Unprocessable: bad or ambiguous names; one fault for each.
    """
    refusals = Refusals(len(files))
    seen: dict[FileKey, str] = {}
    stems = []
    for one in files:
        stem = stem_of(one.name)
        stems.append(stem)
        key = (one.role, stem.casefold())
        if key in seen:
            refusals.add(
                one, Unprocessable(f"same name as '{seen[key]}' without suffix: ambiguous")
            )
        seen.setdefault(key, printable(one.name))
        try:
            check_stem(stem)
        except DataError as error:
            refusals.add(one, Unprocessable(printable(str(error), 300)))
    refusals.raise_if_any()
    return stems


def decode(
    settings: Settings,
    files: Sequence[ReceivedFile],
    stems: Sequence[str],
    dataset: Dataset,
    scratch: Path,
) -> list[Incoming]:
    """Return the canonical form of every file, made outside this process.

    Raises:
        ServiceError: files that cannot be decoded; one fault for each.
    """
    out = scratch / "canonical"
    out.mkdir()
    jobs = [
        CanonicaliseJob(
            source=one.path,
            role="mask" if one.role == "mask" else "image",
            stem=f"{n:06d}",
            num_classes=len(dataset.label_names),
        )
        for n, one in enumerate(files)
        if not _is_empty(one)
    ]
    outcomes = iter(
        canonicalise_files(
            jobs,
            out,
            limits=_image_limits(settings),
            process=_process_limits(settings),
            num_readers=_num_readers(len(jobs)),
        )
    )
    refusals = Refusals(len(files))
    incoming = []
    for one, stem in zip(files, stems, strict=True):
        outcome = UnreadableImage("empty file") if _is_empty(one) else next(outcomes)
        if isinstance(outcome, AmlpError):
            refusals.add(one, as_service_error(outcome))
        else:
            incoming.append(Incoming(one, stem, outcome, out))
    refusals.raise_if_any()
    return incoming


def _num_readers(num_files: int) -> int:
    """Return how many processes are worth their start."""
    return min(MAX_READERS, os.cpu_count() or 1, max(1, num_files // 4))


def _is_empty(received: ReceivedFile) -> bool:
    return received.path.stat().st_size == 0


def _image_limits(settings: Settings) -> ImageLimits:
    """Return what one image may cost."""
    return ImageLimits(
        max_file_bytes=settings.max_image_bytes,
        max_decoded_bytes=settings.decode_memory_bytes // 2,
    )


def _process_limits(settings: Settings) -> ProcessLimits:
    """Return what a decoding process may use."""
    return ProcessLimits(
        memory_bytes=settings.decode_memory_bytes,
        cpu_seconds=max(1, round(settings.decode_seconds)),
        wall_seconds=settings.decode_seconds,
    )


def warnings_of(incoming: Sequence[Incoming]) -> list[str]:
    """Return each warning once, with the files it is about."""
    names: dict[str, list[str]] = {}
    for one in incoming:
        for warning in one.result.warnings:
            names.setdefault(warning, []).append(f"'{printable(one.received.name)}'")
    return [f"{joined(about, 5)}: {warning}" for warning, about in names.items()]
