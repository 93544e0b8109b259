"""Uploads: all or nothing."""

import io

import numpy as np
import pytest
from PIL import Image

from service.errors import StorageExhausted
from service.storage import Storage


def names(problem):
    return [(fault["pointer"], fault["detail"]) for fault in problem["errors"]]


def test_one_bad_file_refuses_all_and_is_named(upload, picture, leftovers):
    response = upload(("images", "good.png", picture()), ("images", "bad.png", picture()[:100]))

    assert response.status_code == 422
    assert response.json()["code"] == "unreadable-image"
    ((pointer, detail),) = names(response.json())
    assert (pointer, "'bad.png'" in detail) == ("/files/1", True)
    assert leftovers() == []


def test_faults_of_several_kinds_are_told_together(upload, picture, leftovers):
    response = upload(
        ("images", "a.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("images", "b.png", picture()[:100]),
    )

    assert response.status_code == 422
    assert len(response.json()["errors"]) == 2
    assert leftovers() == []


def test_empty_file_is_refused(upload, leftovers):
    response = upload(("images", "a.png", b""))

    assert response.status_code == 422
    assert response.json()["code"] == "unreadable-image"
    assert leftovers() == []


def test_upload_without_files_is_refused(upload):
    assert upload(("manifest", "m.csv", b"stem\na\n")).status_code == 422


def test_same_upload_again_changes_nothing(upload, picture, mask, leftovers):
    parts = [("images", "a.png", picture()), ("masks", "a.png", mask())]
    upload(*parts)
    before = leftovers()

    response = upload(*parts)

    assert response.status_code == 201
    assert (response.json()["added"], response.json()["unchanged"]) == (0, 2)
    assert leftovers() == before


def test_same_pixels_in_another_format_are_the_same_content(upload):
    pixels = Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30))
    contents = []
    for kind in ("PNG", "BMP"):
        buffer = io.BytesIO()
        pixels.save(buffer, format=kind)
        contents.append(buffer.getvalue())
    upload(("images", "a.png", contents[0]))

    response = upload(("images", "a.bmp", contents[1]))

    assert response.json()["unchanged"] == 1


def test_other_content_under_a_known_name_is_a_conflict(upload, picture, leftovers):
    upload(("images", "a.png", picture(1)))
    before = leftovers()

    response = upload(("images", "a.png", picture(2)))

    assert response.status_code == 409
    assert leftovers() == before


def test_two_images_of_one_stem_are_ambiguous(upload, picture, leftovers):
    response = upload(("images", "a.png", picture()), ("images", "A.bmp", picture()))

    assert response.status_code == 422
    assert "ambiguous" in response.json()["detail"]
    assert leftovers() == []


@pytest.mark.parametrize("is_separate", [False, True])
def test_mask_of_another_size_is_refused_with_both_sizes(upload, picture, mask, is_separate):
    image_part = ("images", "a.png", picture(size=(24, 32)))
    mask_part = ("masks", "a.png", mask(size=(20, 30)))
    parts = [[image_part], [mask_part]] if is_separate else [[image_part, mask_part]]

    response = [upload(*some) for some in parts][-1]

    assert response.status_code == 422
    assert response.json()["code"] == "inconsistent-geometry"
    assert "1 x 20 x 30" in response.json()["detail"]
    assert "1 x 24 x 32" in response.json()["detail"]


def test_mask_values_beyond_the_label_names_are_refused(upload, picture):
    pixels = np.zeros((24, 32), np.uint8)
    pixels[:4], pixels[4:8] = 1, 2
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")

    response = upload(("images", "a.png", picture()), ("masks", "a.png", buffer.getvalue()))

    assert response.status_code == 422
    assert response.json()["code"] == "invalid-mask"


@pytest.mark.parametrize("name", ["a\u202eb.png", "-rf.png", "..png", "x" * 300 + ".png"])
def test_strange_names_are_refused(upload, picture, name, leftovers):
    response = upload(("images", name, picture()))

    assert response.status_code == 422
    assert leftovers() == []


def test_folders_of_a_name_are_dropped(upload, picture):
    response = upload(("images", "../../etc/cron.d/a.png", picture()))

    assert response.json()["files"][0]["stem"] == "a"


def test_manifest_gives_splits_and_patients(upload, picture, freeze, client, headers, dataset_id):
    rows = b"stem,split,patient\na,train,p1\nb,val,p2\nc,test,p3\n"

    upload(*(("images", f"{n}.png", picture(i)) for i, n in enumerate("abc")))
    response = upload(("manifest", "manifest.csv", rows))
    freeze()

    assert response.status_code == 201
    items = client.get(f"/v1/datasets/{dataset_id}/versions/1/items", headers=headers).json()
    assert [item["split"] for item in items["items"]] == ["train", "validation", "test"]


@pytest.mark.parametrize(
    "rows",
    [
        b"stem,split\na,banana\n",
        b"stem,split\na,train\na,test\n",
        b"stem,split\n../../etc/passwd,train\n",
        b"stem,split\nmissing,train\n",
        b"name,split\na,train\n",
        "stem,split\na,train\n".encode("utf-16"),
        b"",
    ],
)
def test_wrong_manifest_refuses_the_upload(upload, picture, rows, leftovers):
    response = upload(("images", "a.png", picture()), ("manifest", "manifest.csv", rows))

    assert response.status_code == 422
    assert leftovers() == []


def test_warnings_name_the_files_they_are_about(upload, picture, mask):
    response = upload(("images", "a.png", picture()), ("masks", "a.png", mask(start=0, side=100)))

    assert response.status_code == 201
    assert any("'a.png'" in warning for warning in response.json()["warnings"])


def test_full_storage_takes_back_what_was_put(upload, picture, leftovers, monkeypatch):
    put_file = Storage.put_file

    def fail_on_thumbnails(storage, key, path):
        if "thumbnails" in key:
            raise StorageExhausted("no space")
        put_file(storage, key, path)

    monkeypatch.setattr(Storage, "put_file", fail_on_thumbnails)

    response = upload(("images", "a.png", picture()))

    assert response.status_code == 507
    assert leftovers() == []


def test_many_files_go_in_at_once(upload_zip, packed, picture, mask):
    files = {f"set/images/{n:03d}.png": picture(n) for n in range(60)}
    files |= {f"set/masks/{n:03d}.png": mask(side=n % 8 + 1) for n in range(60)}

    response = upload_zip(packed(files))

    assert response.json()["added"] == 120
