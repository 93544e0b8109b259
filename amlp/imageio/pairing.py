"""Which files make up a case: pure logic over names and the rows of a `manifest.csv`.

The folder reader and the upload of the service ask the same questions here: which mask belongs to
which image, which split and group a case has, and what is wrong with any of it.
"""

import csv
import io
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from amlp.errors import DataError

# The same words as `amlp.manifest.Split`, which lies beside this package and not below it.
Split: TypeAlias = Literal["train", "validation", "test"]

_SPLITS: dict[str, Split] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_STEM_COLUMNS = ("stem", "case", "image")
_GROUP_COLUMNS = ("patient", "group")
_MAX_STEM = 150
_MAX_CSV_BYTES = 16 * 1024 * 1024
_DOUBLE_SUFFIXES = (".nii.gz",)
_JUNK = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True)
class Issue:
    """Something about one file or case that its owner should know.

    Attributes:
        subject: stem or file name, safe to show.
        code: stable, dotted, for machines.
        message: what was found and what was expected.
        level: an `error` leaves the case out, a `warning` does not.
    """

    subject: str
    code: str
    message: str
    level: Literal["error", "warning"] = "error"


@dataclass(frozen=True)
class ManifestRow:
    """One row of a `manifest.csv`; empty cells are None."""

    stem: str
    split: Split | None = None
    group: str | None = None


@dataclass(frozen=True)
class PairedCase:
    """Names of the files of one case."""

    stem: str
    image: str
    mask: str | None = None
    split: Split | None = None
    group: str | None = None


def stem_of(name: str) -> str:
    """Return the file name without folder and image suffix, in NFC form."""
    plain = unicodedata.normalize("NFC", PurePosixPath(name).name)
    for suffix in _DOUBLE_SUFFIXES:
        if plain.lower().endswith(suffix):
            return plain[: -len(suffix)]
    return PurePosixPath(plain).stem


def is_junk(name: str) -> bool:
    """Whether a file is a leftover of an operating system, not data."""
    plain = PurePosixPath(name).name
    return plain.startswith(".") or plain.lower() in _JUNK


def check_stem(stem: str) -> None:
    """Refuse a stem that is no plain name: it becomes part of paths, pages and tables.

    Raises:
        DataError: empty, too long, path-like, or with invisible characters.
    """
    if not stem or len(stem.encode(errors="replace")) > _MAX_STEM:
        raise DataError(f"name of {len(stem)} characters, expected 1 to {_MAX_STEM} bytes")
    if any(unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co", "Cn"} for letter in stem):
        raise DataError("name holds control, direction or private characters, expected plain text")
    if stem.startswith((".", "-", "~")) or set(stem) & set('/\\:*?"<>|'):
        raise DataError(f"name {stem!r} looks like a path or an option, expected a plain name")


def parse_manifest_csv(data: bytes) -> list[ManifestRow]:
    """Parse a `manifest.csv`: a stem (or image) column, and optionally split and patient or group.

    Raises:
        DataError: not UTF-8, no stem column, an unknown split or a bad name; the message names the
            line.
    """
    if len(data) > _MAX_CSV_BYTES:
        raise DataError(f"manifest.csv of {len(data)} bytes, expected {_MAX_CSV_BYTES} at most")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("manifest.csv is not UTF-8") from error
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        stem_column = next((columns[name] for name in _STEM_COLUMNS if name in columns), None)
        if stem_column is None:
            raise DataError(
                f"manifest.csv has no column {' or '.join(_STEM_COLUMNS)}, "
                f"it has {len(columns)} others"
            )
        group_column = next((columns[name] for name in _GROUP_COLUMNS if name in columns), None)
        split_column = columns.get("split")
        return [
            _parse_row(
                reader.line_num,
                stem=row[stem_column],
                split=row[split_column] if split_column else None,
                group=row[group_column] if group_column else None,
            )
            for row in reader
        ]
    except csv.Error as error:
        raise DataError("manifest.csv is not a table of comma-separated values") from error


def pair_cases(
    image_names: Sequence[str],
    mask_names: Sequence[str],
    rows: Sequence[ManifestRow] | None = None,
) -> tuple[list[PairedCase], list[Issue]]:
    """Pair images with masks and rows by stem; cases with an error are left out.

    Args:
        image_names: file names or paths of the images.
        mask_names: those of the masks; an image without one is an unlabelled case.
        rows: rows of the manifest, None where there is none.
    """
    issues: list[Issue] = []
    images = _by_stem(image_names, "image", issues)
    masks = _by_stem(mask_names, "mask", issues)
    for stem in sorted(masks.keys() - images.keys()):
        if not any(issue.subject == stem for issue in issues):
            issues.append(Issue(stem, "case.orphan-mask", f"mask {stem} has no image"))
    described = _rows_by_stem(rows or (), images, issues)
    cases = []
    for stem, image in sorted(images.items()):
        row = described.get(stem, ManifestRow(stem))
        if masks and stem not in masks:
            issues.append(
                Issue(stem, "case.unlabelled", f"image {stem} has no mask", level="warning")
            )
        cases.append(PairedCase(stem, image, masks.get(stem), row.split, row.group))
    failed = {issue.subject for issue in issues if issue.level == "error"}
    cases = [case for case in cases if case.stem not in failed]
    if any(case.split for case in cases):
        issues += [
            Issue(case.stem, "case.no-split", f"case {case.stem} has no split, others have one")
            for case in cases
            if case.split is None
        ]
    issues += find_leaks({case.stem: (case.group or case.stem, case.split) for case in cases})
    failed = {issue.subject for issue in issues if issue.level == "error"}
    return [case for case in cases if case.stem not in failed], issues


def find_leaks(cases: Mapping[str, tuple[str, Split | None]]) -> list[Issue]:
    """Return an error for every case whose group is in more than one split.

    Args:
        cases: group and split of each stem.
    """
    splits: dict[str, set[Split]] = defaultdict(set)
    for group, split in cases.values():
        if split is not None:
            splits[group].add(split)
    return [
        Issue(
            stem,
            "case.split-leak",
            f"group of case {stem} is in the splits {' and '.join(sorted(splits[group]))}, "
            "expected one",
        )
        for stem, (group, _) in cases.items()
        if len(splits[group]) > 1
    ]


def _parse_row(line: int, *, stem: str | None, split: str | None, group: str | None) -> ManifestRow:
    named, word = (stem or "").strip(), (split or "").strip().lower()
    path = PurePosixPath(named)
    if path.suffix and len(path.parts) == 2 and path.parts[0] in {"images", "image"}:
        named = path.name
    if word and word not in _SPLITS:
        raise DataError(
            f"line {line} of manifest.csv has an unknown split, expected train, validation or test"
        )
    grouped = (group or "").strip() or None
    try:
        check_stem(named)
        if grouped is not None:
            check_stem(grouped)
    except DataError as error:
        raise DataError(f"line {line} of manifest.csv: {error}") from error
    return ManifestRow(stem_of(named), _SPLITS.get(word), grouped)


def _by_stem(names: Iterable[str], role: str, issues: list[Issue]) -> dict[str, str]:
    """Return the one file of each stem; bad and ambiguous stems become issues."""
    kept = [name for name in names if not is_junk(name)]
    # On many file systems names that differ in case only are one.
    counts = Counter(stem_of(name).casefold() for name in kept)
    found = {}
    for position, name in enumerate(kept):
        stem = stem_of(name)
        try:
            check_stem(stem)
        except DataError as error:
            issues.append(Issue(f"{role} {position + 1}", "case.bad-name", str(error)))
            continue
        if counts[stem.casefold()] > 1:
            message = f"{counts[stem.casefold()]} {role}s share the stem {stem}, expected one"
            issues.append(Issue(stem, "case.duplicate-stem", message))
        found[stem] = name
    return found


def _rows_by_stem(
    rows: Iterable[ManifestRow], images: Mapping[str, str], issues: list[Issue]
) -> dict[str, ManifestRow]:
    found: dict[str, ManifestRow] = {}
    for row in rows:
        if row.stem in found and found[row.stem] != row:
            message = f"manifest.csv describes case {row.stem} twice and differently"
            issues.append(Issue(row.stem, "case.split-leak", message))
        found[row.stem] = row
    issues += [
        Issue(stem, "case.missing-image", f"manifest.csv lists {stem}, which has no image")
        for stem in found
        if stem not in images
    ]
    return found
