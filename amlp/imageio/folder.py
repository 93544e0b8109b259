"""A folder as people keep it (`images/`, `masks/`, `manifest.csv`) becomes a data set."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from amlp.errors import AmlpError, GeometryMismatch
from amlp.imageio.assembly import Pair, assemble_manifest
from amlp.imageio.canonicalise import (
    CanonicaliseJob,
    Role,
    check_same_grid,
    describe_image,
)
from amlp.imageio.isolation import Outcome, canonicalise_files
from amlp.imageio.limits import ImageLimits
from amlp.imageio.pairing import (
    Issue,
    ManifestRow,
    PairedCase,
    pair_cases,
    parse_manifest_csv,
)
from amlp.imageio.reader import read_image
from amlp.imageio.writer import write_canonical
from amlp.manifest import Manifest

_MAX_READERS = 4


def read_folder(
    root: Path,
    out: Path,
    *,
    name: str,
    limits: ImageLimits | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, list[Issue]]:
    """Write the canonical files and the manifest of a raw folder into `out`.

    A folder without `images/` is taken as images without masks. Splits come from `manifest.csv`, or
    are assigned by patient. Cases with errors are left out and reported.

    Args:
        root: raw folder; it is only read.
        out: folder of the data set, made if absent.
        name: name of the data set.
        limits: upper bounds of an image.
        progress: called with the files done so far and their number.

    Raises:
        EmptyDataset: no usable case.
        DataError: `manifest.csv` cannot be read.
    """
    image_folder = root / "images" if (root / "images").is_dir() else root
    cases, issues = pair_cases(
        _file_names(image_folder, but="manifest.csv"),
        _file_names(root / "masks"),
        _read_rows(root / "manifest.csv"),
    )
    jobs = [_job(image_folder / case.image, "image", case) for case in cases]
    jobs += [_job(root / "masks" / case.mask, "mask", case) for case in cases if case.mask]
    outcomes = _canonicalise(jobs, out, limits=limits, progress=progress)
    pairs = _accepted_pairs(cases, outcomes, issues)
    _unify_channels(out / "images", pairs, issues)
    manifest, leaks = assemble_manifest(cases, pairs, name=name)
    manifest.save(out)
    return manifest, [*issues, *leaks]


def _job(source: Path, role: Role, case: PairedCase) -> CanonicaliseJob:
    return CanonicaliseJob(source, role, case.stem, with_thumbnail=False)


def _canonicalise(
    jobs: list[CanonicaliseJob],
    out: Path,
    *,
    limits: ImageLimits | None,
    progress: Callable[[int, int], None] | None,
) -> dict[tuple[Role, str], Outcome]:
    """Return the outcome of every file by role and stem."""
    outcomes: dict[tuple[Role, str], Outcome] = {}
    for role in ("image", "mask"):
        folder = out / f"{role}s"
        folder.mkdir(parents=True, exist_ok=True)
        batch = [job for job in jobs if job.role == role]
        done = len(outcomes)
        results = canonicalise_files(
            batch,
            folder,
            limits=limits,
            num_readers=min(_MAX_READERS, os.cpu_count() or 1),
            progress=progress and _shifted(progress, done, len(jobs)),
        )
        outcomes |= {
            (job.role, job.stem): result for job, result in zip(batch, results, strict=True)
        }
    return outcomes


def _shifted(
    progress: Callable[[int, int], None], already: int, total: int
) -> Callable[[int, int], None]:
    return lambda done, _: progress(already + done, total)


def _accepted_pairs(
    cases: list[PairedCase],
    outcomes: dict[tuple[Role, str], Outcome],
    issues: list[Issue],
) -> dict[str, Pair]:
    """Return image and mask of every case without an error; all findings become issues."""
    pairs: dict[str, Pair] = {}
    for case in cases:
        image, mask = outcomes["image", case.stem], outcomes.get(("mask", case.stem))
        for role, outcome in (("image", image), ("mask", mask)):
            issues += _issues_of(case.stem, role, outcome)
        if isinstance(image, AmlpError) or isinstance(mask, AmlpError):
            continue
        try:
            if mask is not None:
                check_same_grid(image, mask)
        except GeometryMismatch as error:
            issues.append(Issue(case.stem, error.code, str(error)))
            continue
        pairs[case.stem] = (image, mask)
    return pairs


def _issues_of(stem: str, role: str, outcome: Outcome | None) -> list[Issue]:
    if outcome is None:
        return []
    if isinstance(outcome, AmlpError):
        return [Issue(stem, outcome.code, f"{role}: {outcome}")]
    code = "data.assumed"
    return [Issue(stem, code, f"{role}: {text}", level="warning") for text in outcome.warnings]


def _unify_channels(folder: Path, pairs: dict[str, Pair], issues: list[Issue]) -> None:
    """Store all pictures as grey where they are grey, else grey ones among colour as RGB."""
    images = [image for image, _ in pairs.values()]
    if not {image.channels for image in images} <= {1, 3}:
        return
    channels = 1 if all(image.is_grey for image in images) else 3
    for stem, (described, mask) in pairs.items():
        if described.channels == channels:
            continue
        image = read_image(folder / described.file)
        pixels = image.pixels[:1] if channels == 1 else np.repeat(image.pixels, channels, axis=0)
        # The picture's spacing is not in a PNG, so it stays as it was described before.
        converted = replace(image, pixels=pixels, spacing_mm=described.spacing_mm)
        path = write_canonical(converted, folder, stem)
        rewritten = describe_image(path, converted)
        pairs[stem] = (replace(rewritten, patient=described.patient), mask)
        note = (
            "colour of equal channels was stored as grey"
            if channels == 1
            else ("grey was stored as RGB, for other images of the data set have colour")
        )
        issues.append(Issue(stem, "data.channels", note, level="warning"))


def _file_names(folder: Path, *, but: str = "") -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != but)


def _read_rows(path: Path) -> list[ManifestRow] | None:
    return parse_manifest_csv(path.read_bytes()) if path.is_file() else None
