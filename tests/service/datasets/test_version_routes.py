"""Versions over HTTP."""

import hashlib
import io

import pytest
from PIL import Image


@pytest.fixture
def version(upload, picture, mask, freeze, dataset_id):
    """Return the path of a version of three cases, one of them labelled."""
    upload(
        *(("images", f"{name}.png", picture(n)) for n, name in enumerate("abc")),
        ("masks", "a.png", mask()),
    )
    assert freeze().status_code == 201
    return f"/v1/datasets/{dataset_id}/versions/1"


def test_version_is_found_by_its_number(client, headers, version, dataset_id):
    found = client.get(version, headers=headers).json()

    listed = client.get(f"/v1/datasets/{dataset_id}/versions", headers=headers).json()
    assert listed["items"] == [found]


@pytest.mark.parametrize("number", ["0", "2", "-1", "x", str(2**40)])
def test_other_numbers_are_refused(client, headers, version, dataset_id, number):
    response = client.get(f"/v1/datasets/{dataset_id}/versions/{number}", headers=headers)

    assert response.status_code in {404, 422}


def test_items_are_paged_by_name(client, headers, version):
    first = client.get(f"{version}/items?limit=2", headers=headers).json()
    second = client.get(f"{version}/items?cursor={first['next_cursor']}", headers=headers).json()

    assert [item["case_id"] for item in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next_cursor"] is None


def test_items_lead_to_image_mask_and_thumbnail(client, headers, version):
    item = client.get(f"{version}/items", headers=headers).json()["items"][0]

    for content in (item["image"], item["mask"]):
        bytes_ = client.get(content["url"], headers=headers).content
        assert hashlib.sha256(bytes_).hexdigest() == content["sha256"]
    thumbnail = client.get(item["image"]["thumbnail_url"], headers=headers).content
    assert Image.open(io.BytesIO(thumbnail)).format == "PNG"


def test_case_without_mask_says_so(client, headers, version):
    item = client.get(f"{version}/items", headers=headers).json()["items"][1]

    assert item["mask"] is None


@pytest.mark.parametrize("sha256", ["0" * 64, "x", "..%2f..%2fversions"])
def test_unknown_content_is_not_found(client, headers, version, dataset_id, sha256):
    response = client.get(f"/v1/datasets/{dataset_id}/content/{sha256}", headers=headers)

    assert response.status_code == 404


def test_findings_are_told(client, headers, version):
    findings = client.get(f"{version}/validation", headers=headers).json()["findings"]

    assert "unlabelled" in {finding["code"] for finding in findings}
