"""The bodies of uploads."""

import pytest
from fastapi.testclient import TestClient

from service.app import create_app


def send(client, headers, dataset_id, body: bytes, kind: str):
    return client.post(
        f"/v1/datasets/{dataset_id}/files", headers={**headers, "Content-Type": kind}, content=body
    )


@pytest.mark.parametrize("kind", ["application/json", "image/png", "text/plain", "", "nonsense"])
def test_other_media_types_are_unsupported(client, headers, dataset_id, kind):
    response = send(client, headers, dataset_id, b"{}", kind)

    assert response.status_code == 415
    assert response.json()["accepted"] == ["multipart/form-data", "application/zip"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=b"),
        (b"--b\r\n", "multipart/form-data; boundary=b"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\n", "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"X: " + b"y" * 100_000 + b"\r\n", "multipart/form-data; boundary=b"),
        (b"", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data; boundary=" + "b" * 500),
        (
            b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\nhalf',
            "multipart/form-data; boundary=b",
        ),
    ],
)
def test_broken_multipart_is_the_clients_fault(client, headers, dataset_id, body, kind, leftovers):
    response = send(client, headers, dataset_id, body, kind)

    assert response.status_code in {400, 422}
    assert leftovers() == []


def test_unknown_field_is_named(upload, picture):
    response = upload(("image", "a.png", picture()))

    assert response.status_code == 422
    assert "'image'" in response.json()["detail"]


def test_more_files_than_the_limit_are_refused(settings, headers, picture):
    few = settings.model_copy(update={"max_archive_entries": 2})
    files = [("images", (f"{n}.png", picture(n))) for n in range(3)]

    with TestClient(create_app(few), base_url="http://localhost") as client:
        made = client.post("/v1/datasets", headers=headers, json={"name": "x"}).json()
        response = client.post(f"/v1/datasets/{made['id']}/files", headers=headers, files=files)

    assert response.status_code == 413


def test_archive_may_come_as_a_form_field(upload, packed, picture, mask):
    content = packed({"images/a.png": picture(), "masks/a.png": mask()})

    assert upload(("archive", "set.zip", content)).json()["added"] == 2


def test_archive_without_layout_is_images(upload_zip, packed, picture):
    content = packed({"a.png": picture(1), "sub/b.png": picture(2), "README.md": b"x"})

    response = upload_zip(content)

    assert {file["role"] for file in response.json()["files"]} == {"image"}
    assert "1 files of the archive were skipped" in response.json()["warnings"][0]


def test_archive_brings_its_manifest(upload_zip, packed, picture):
    content = packed({"images/a.png": picture(), "manifest.csv": b"stem,split\na,test\n"})

    assert upload_zip(content).json()["files"][0]["split"] == "test"


def test_two_manifests_are_refused(upload, picture):
    rows = ("manifest", "m.csv", b"stem\na\n")

    response = upload(("images", "a.png", picture()), rows, rows)

    assert response.status_code == 422
    assert "second manifest" in response.json()["detail"]


def test_archive_with_other_files_is_refused(upload, packed, picture):
    archive = ("archive", "set.zip", packed({"images/a.png": picture()}))

    response = upload(archive, ("images", "b.png", picture(2)))

    assert response.status_code == 422
    assert "expected it alone" in response.json()["detail"]
