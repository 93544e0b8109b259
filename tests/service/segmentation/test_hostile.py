"""Malformed and odd files through `/segment`: refused with a reason or segmented, never a 500."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.models.tables import ModelVersion

Add = Callable[..., ModelVersion]


def read_manifest(real_data: Path) -> list[dict[str, str]]:
    with (real_data / "hostile" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if (real_data / "hostile" / row["file"]).is_file()]


def allowed(row: dict[str, str]) -> set[int]:
    """What may be answered: files that are wrong only beside others are fine alone."""
    alone = row["file"].count("/") == 1 and "same_uid" not in row["file"]
    must_be_refused = row["kind"] == "hostile" and alone and "accept" not in row["good_answer"]
    return {413, 415, 422} if must_be_refused else {200, 413, 415, 422}


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["images", "dicom", "nifti", "archives", "checkpoints"])
def test_no_file_breaks_the_service(
    client: TestClient,
    headers: dict[str, str],
    add_segmenter: Add,
    real_data: Path,
    tmp_path: Path,
    folder: str,
):
    add_segmenter()
    rows = [row for row in read_manifest(real_data) if row["file"].startswith(folder + "/")]

    answers = {
        row["file"]: client.post(
            "/segment", content=(real_data / "hostile" / row["file"]).read_bytes(), headers=headers
        )
        for row in rows
    }

    wrong = {
        row["file"]: (answers[row["file"]].status_code, answers[row["file"]].text[:200])
        for row in rows
        if answers[row["file"]].status_code not in allowed(row)
    }
    assert rows
    assert wrong == {}
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.slow
def test_real_dicom_is_segmented_or_refused_with_a_reason(
    client: TestClient, headers: dict[str, str], add_segmenter: Add, real_data: Path
):
    add_segmenter()
    paths = sorted(path for path in (real_data / "dicom").rglob("*.dcm"))

    answers = {
        path.name: client.post("/segment", content=path.read_bytes(), headers=headers)
        for path in paths
    }

    assert {one.status_code for one in answers.values()} <= {200, 413, 415, 422}
    assert sum(one.status_code == 200 for one in answers.values()) > len(answers) / 3
