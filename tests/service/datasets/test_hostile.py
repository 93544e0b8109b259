"""The folder of malformed inputs, through HTTP: refused with a reason, nothing stored."""

import csv
import os
from pathlib import Path

import pytest

FOLDER = (
    Path(os.environ.get("AMLP_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
    / "hostile"
)
REFUSED = {400, 413, 415, 422}


def rows(kind: str):
    """Return the rows of the folder's manifest, or one visibly skipped parameter."""
    if not FOLDER.is_dir():
        reason = f"no malformed inputs in {FOLDER} (set AMLP_TEST_DATA)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id=kind)]
    with (FOLDER / "manifest.csv").open(newline="") as file:
        return [
            pytest.param(row, id=row["file"])
            for row in csv.DictReader(file)
            if row["file"].startswith(kind)
        ]


def pairs():
    """Return, for each folder of images and masks, whether it is hostile."""
    found = {}
    for one in rows("pairs/"):
        if one.values[0] is None:
            return [one]
        name = one.values[0]["file"].split("/")[1]
        found[name] = pytest.param((name, one.values[0]["kind"] == "hostile"), id=name)
    return list(found.values())


@pytest.mark.parametrize("row", [row for row in rows("archives/") if "named" not in row.id])
def test_archive_is_refused_with_nothing_stored_or_read(row, upload_zip, leftovers):
    response = upload_zip((FOLDER / row["file"]).read_bytes())

    if response.status_code == 201:
        assert "201" in row["good_answer"] or "ignored" in row["good_answer"]
        return
    assert response.status_code in REFUSED
    assert response.json()["detail"]
    assert leftovers() == []


@pytest.mark.parametrize("row", [row for row in rows("archives/") if "named" in row.id])
def test_zip_is_not_an_image(row, upload, leftovers):
    response = upload(("images", "a.png", (FOLDER / row["file"]).read_bytes()))

    assert response.status_code == 415
    assert leftovers() == []


@pytest.mark.parametrize("pair", pairs())
def test_pair_is_refused_with_nothing_stored_or_accepted_if_merely_odd(
    pair, upload, freeze, leftovers
):
    name, is_hostile = pair
    parts = [
        (role, path.name, path.read_bytes())
        for role in ("images", "masks")
        for path in sorted((FOLDER / "pairs" / name / role).glob("*"))
    ]

    response = upload(*parts)

    if name == "mask_missing":
        # an image without a mask is kept for pretraining and counted
        assert freeze().json()["summary"]["labelled"] == 0
    elif name == "mask_colour":
        # one colour on black is read in full: the lesion does not vanish
        assert [file["labels"] for file in response.json()["files"]] == [[], [1]]
    elif is_hostile:
        assert response.status_code in REFUSED
        assert leftovers() == []
    else:
        assert response.status_code == 201


@pytest.mark.parametrize("row", rows("configs/json"))
def test_hostile_json_is_refused(row, client, headers):
    response = client.post(
        "/v1/datasets",
        headers={**headers, "Content-Type": "application/json"},
        content=(FOLDER / row["file"]).read_bytes(),
    )

    assert response.status_code in REFUSED


@pytest.mark.parametrize("row", rows("configs/yaml"))
def test_yaml_is_not_a_language_of_the_api(row, client, headers):
    response = client.post(
        "/v1/jobs",
        headers={**headers, "Content-Type": "application/yaml"},
        content=(FOLDER / row["file"]).read_bytes(),
    )

    assert response.status_code == 415


@pytest.mark.parametrize("row", rows("configs/manifest"))
def test_hostile_manifest_refuses_the_upload(row, upload, picture, leftovers):
    response = upload(
        ("images", "a.png", picture(1)),
        ("images", "b.png", picture(2)),
        ("manifest", "manifest.csv", (FOLDER / row["file"]).read_bytes()),
    )

    assert response.status_code == 422
    assert leftovers() == []


@pytest.mark.slow
def test_every_hostile_image_of_an_upload_is_named(upload, leftovers):
    hostile = [
        row.values[0]["file"]
        for row in rows("images/")
        if row.values[0] and row.values[0]["kind"] == "hostile"
    ]
    if not hostile:
        pytest.skip(f"no malformed inputs in {FOLDER} (set AMLP_TEST_DATA)")

    response = upload(
        *(
            ("images", f"{n}-{Path(file).name}", (FOLDER / file).read_bytes())
            for n, file in enumerate(hostile)
        )
    )

    named = {fault["pointer"] for fault in response.json()["errors"]}
    missed = [file for n, file in enumerate(hostile) if f"/files/{n}" not in named]
    assert response.status_code == 422
    assert missed in ([], ["images/dicom_named.png"])
    assert leftovers() == []
