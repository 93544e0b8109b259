"""Canonical and raw folders."""

from pathlib import Path

import pytest

from amlp.data import load_dataset
from amlp.errors import DataError
from amlp.manifest import Manifest
from amlp.phantom import generate_phantoms


def _silent(_: str) -> None:
    pass


def test_a_canonical_folder_is_used_as_it_is(phantoms: Path, tmp_path: Path) -> None:
    dataset = load_dataset(phantoms, cache=tmp_path, note=_silent)

    assert dataset.root == phantoms
    assert dataset.manifest == Manifest.load(phantoms)
    assert not list(tmp_path.iterdir())


def test_a_raw_folder_is_canonicalised_once(tmp_path: Path) -> None:
    raw = generate_phantoms(tmp_path / "raw", 4, size=32)

    first = load_dataset(raw, cache=tmp_path / "cache", note=_silent)
    written = (first.root / "manifest.json").stat().st_mtime_ns
    second = load_dataset(raw, cache=tmp_path / "cache", note=_silent)

    assert len(first.manifest.cases) == 4
    assert second == first
    assert (first.root / "manifest.json").stat().st_mtime_ns == written


def test_a_changed_raw_folder_is_read_again(tmp_path: Path) -> None:
    raw = generate_phantoms(tmp_path / "raw", 4, size=32)
    first = load_dataset(raw, cache=tmp_path / "cache", note=_silent)
    generate_phantoms(raw, 6, size=32)

    second = load_dataset(raw, cache=tmp_path / "cache", note=_silent)

    assert second.root != first.root
    assert len(second.manifest.cases) == 6


def test_files_that_are_left_out_are_told(tmp_path: Path) -> None:
    raw = generate_phantoms(tmp_path / "raw", 4, size=32)
    (raw / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    notes: list[str] = []

    dataset = load_dataset(raw, cache=tmp_path / "cache", note=notes.append)

    assert len(dataset.manifest.cases) == 4
    assert any("broken" in note for note in notes)


def test_many_issues_of_a_kind_are_told_as_one(tmp_path: Path) -> None:
    raw = generate_phantoms(tmp_path / "raw", 4, size=32)
    for number in range(5):
        (raw / "images" / f"broken{number}.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    notes: list[str] = []

    load_dataset(raw, cache=tmp_path / "cache", note=notes.append)

    assert len(notes) < 5
    assert any("likewise broken1, broken2 and 2 more" in note for note in notes)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    with pytest.raises(DataError):
        load_dataset(empty, cache=tmp_path / "cache", note=_silent)
