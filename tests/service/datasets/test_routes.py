"""Data sets and their files over HTTP."""

import io

import numpy as np
import pytest
from PIL import Image


def test_new_data_set_is_empty(client, headers):
    body = {"name": "x", "kind": "unlabelled", "modality": "US"}

    made = client.post("/v1/datasets", headers=headers, json=body)

    assert made.status_code == 201
    assert made.json()["num_images"] == 0
    assert client.get(f"/v1/datasets/{made.json()['id']}", headers=headers).json() == made.json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 201},
        {"kind": "labelled"},
        {"modality": "us; drop"},
        {"label_names": ["background"]},
        {"label_names": ["background", "a", "a"]},
        {"labels": []},
        {"name": 1},
    ],
)
def test_wrong_data_set_is_unprocessable(client, headers, wrong):
    response = client.post("/v1/datasets", headers=headers, json={"name": "x", **wrong})

    assert response.status_code == 422
    assert response.json()["errors"]


def test_list_is_paged_newest_first(client, headers):
    made = [
        client.post("/v1/datasets", headers=headers, json={"name": f"{n}"}).json()["id"]
        for n in range(3)
    ]

    first = client.get("/v1/datasets?limit=2", headers=headers).json()
    second = client.get(f"/v1/datasets?cursor={first['next_cursor']}", headers=headers).json()

    assert sorted(made, reverse=True) == [
        item["id"] for item in [*first["items"], *second["items"]]
    ]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/files"),
        ("POST", "/files"),
        ("POST", "/versions"),
        ("GET", "/versions"),
        ("GET", "/versions/1"),
        ("GET", "/versions/1/items"),
        ("GET", "/versions/1/manifest"),
        ("GET", "/versions/1/validation"),
        ("GET", "/content/" + "0" * 64),
    ],
)
def test_another_tenant_finds_nothing(client, make_headers, dataset_id, method, path):
    other = make_headers("admin", tenant_id="other")

    response = client.request(
        method,
        f"/v1/datasets/{dataset_id}{path}",
        headers=other,
        json={} if "versions" in path else None,
    )

    assert response.status_code == 404


def test_another_tenant_finds_no_file(client, make_headers, dataset_id, upload, picture):
    file_id = upload(("images", "a.png", picture())).json()["files"][0]["id"]
    other = make_headers("admin", tenant_id="other")

    for method, suffix in [("GET", ""), ("GET", "/thumbnail"), ("DELETE", "")]:
        path = f"/v1/datasets/{dataset_id}/files/{file_id}{suffix}"
        assert client.request(method, path, headers=other).status_code == 404


def test_image_and_mask_are_stored_and_counted(upload, picture, mask, client, headers, dataset_id):
    response = upload(("images", "a.png", picture()), ("masks", "a.png", mask()))

    assert response.status_code == 201
    assert (response.json()["added"], response.json()["unchanged"]) == (2, 0)
    dataset = client.get(f"/v1/datasets/{dataset_id}", headers=headers).json()
    assert (dataset["num_images"], dataset["num_masks"]) == (1, 1)


def test_download_is_the_picture_as_an_attachment(upload, client, headers, dataset_id, picture):
    sent = picture()
    file_id = upload(("images", "a.png", sent)).json()["files"][0]["id"]

    response = client.get(f"/v1/datasets/{dataset_id}/files/{file_id}", headers=headers)

    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-disposition"].startswith("attachment")
    assert "immutable" in response.headers["cache-control"]
    got, expected = (np.asarray(Image.open(io.BytesIO(b))) for b in (response.content, sent))
    np.testing.assert_array_equal(got, expected)


def test_thumbnail_is_a_small_png(upload, client, headers, dataset_id, picture):
    file_id = upload(("images", "a.png", picture(size=(600, 300)))).json()["files"][0]["id"]

    response = client.get(f"/v1/datasets/{dataset_id}/files/{file_id}/thumbnail", headers=headers)

    assert max(Image.open(io.BytesIO(response.content)).size) <= 256


def test_mask_has_no_thumbnail(upload, client, headers, dataset_id, picture, mask):
    report = upload(("images", "a.png", picture()), ("masks", "a.png", mask())).json()
    file_id = next(file["id"] for file in report["files"] if file["role"] == "mask")

    response = client.get(f"/v1/datasets/{dataset_id}/files/{file_id}/thumbnail", headers=headers)

    assert response.status_code == 404


def test_removed_file_leaves_nothing(upload, client, headers, dataset_id, picture, leftovers):
    file_id = upload(("images", "a.png", picture())).json()["files"][0]["id"]

    response = client.delete(f"/v1/datasets/{dataset_id}/files/{file_id}", headers=headers)

    assert response.status_code == 204
    assert leftovers() == []


def test_content_shared_by_two_names_survives_the_removal_of_one(
    upload, client, headers, dataset_id, picture
):
    files = upload(("images", "a.png", picture()), ("images", "b.png", picture())).json()["files"]

    client.delete(f"/v1/datasets/{dataset_id}/files/{files[0]['id']}", headers=headers)

    left = client.get(f"/v1/datasets/{dataset_id}/files/{files[1]['id']}", headers=headers)
    assert left.status_code == 200


def test_deleted_data_set_leaves_nothing_and_is_not_found(
    upload, freeze, client, headers, dataset_id, picture, leftovers
):
    upload(("images", "a.png", picture()))
    freeze()

    response = client.delete(f"/v1/datasets/{dataset_id}", headers=headers)

    assert response.status_code == 204
    assert client.get(f"/v1/datasets/{dataset_id}", headers=headers).status_code == 404
    assert leftovers() == []


def test_reading_does_not_allow_writing(client, make_headers, dataset_id):
    reader = make_headers("datasets:read")

    response = client.post(f"/v1/datasets/{dataset_id}/files", headers=reader)

    assert response.status_code == 403


def test_upload_above_the_limit_is_refused_by_its_length(client, headers, dataset_id):
    huge = {**headers, "Content-Type": "application/zip", "Content-Length": str(1 << 40)}

    response = client.post(f"/v1/datasets/{dataset_id}/files", headers=huge, content=b"PK")

    assert response.status_code == 413
    assert response.json()["max_bytes"] == 2 << 30
