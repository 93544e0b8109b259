"""Frozen versions."""

import pytest


@pytest.fixture
def pairs(upload, picture, mask):
    """Upload numbered pairs of image and mask."""

    def send(number: int, start: int = 0):
        parts = []
        for n in range(start, start + number):
            parts += [("images", f"{n}.png", picture(n)), ("masks", f"{n}.png", mask())]
        return upload(*parts)

    return send


def test_version_counts_what_it_holds(pairs, upload, picture, freeze):
    pairs(10)
    upload(("images", "unlabelled.png", picture(99)))

    response = freeze(note="first")

    assert response.status_code == 201
    assert response.json()["number"] == 1
    summary = response.json()["summary"]
    assert (summary["cases"], summary["labelled"], summary["lesion_cases"]) == (11, 10, 10)
    assert summary["channels"] == 1
    assert sum(summary["splits"].values()) == 11
    assert sum(summary["labelled_splits"].values()) == 10


def test_same_content_again_is_the_same_version(pairs, freeze):
    pairs(3)
    first = freeze()

    second = freeze(note="again")

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()


def test_more_content_is_another_version(pairs, freeze):
    pairs(3)
    first = freeze()
    pairs(1, start=3)

    second = freeze()

    assert second.json()["number"] == 2
    assert second.json()["digest"] != first.json()["digest"]


def test_version_does_not_change_when_its_files_are_removed(
    pairs, freeze, client, headers, dataset_id
):
    files = pairs(2).json()["files"]
    freeze()

    for file in files:
        client.delete(f"/v1/datasets/{dataset_id}/files/{file['id']}", headers=headers)

    version = f"/v1/datasets/{dataset_id}/versions/1"
    items = client.get(f"{version}/items", headers=headers).json()["items"]
    assert client.get(items[0]["image"]["url"], headers=headers).status_code == 200
    assert len(client.get(f"{version}/manifest", headers=headers).json()["cases"]) == 2


def test_empty_data_set_cannot_be_frozen(freeze):
    response = freeze()

    assert response.status_code == 422
    assert response.json()["code"] == "empty-dataset"


def test_masks_whose_images_were_removed_are_named(
    upload, picture, mask, freeze, client, headers, dataset_id
):
    upload(("images", "a.png", picture(0)))
    report = upload(("images", "orphan.png", picture(1)), ("masks", "orphan.png", mask())).json()
    image = next(file for file in report["files"] if file["role"] == "image")
    client.delete(f"/v1/datasets/{dataset_id}/files/{image['id']}", headers=headers)

    response = freeze()

    assert response.status_code == 422
    assert response.json()["code"] == "orphan-mask"
    assert "orphan" in response.json()["errors"][0]["detail"]


def test_grey_among_colour_is_read_as_colour_and_reported(upload, picture, freeze, client, headers):
    upload(
        ("images", "a.png", picture(1)),
        ("images", "b.png", picture(2)),
        ("images", "c.png", picture(3, is_colour=True)),
    )

    response = freeze()

    version = response.json()
    report = client.get(
        f"/v1/datasets/{version['dataset_id']}/versions/1/validation", headers=headers
    ).json()
    assert version["summary"]["channels"] == 3
    finding = next(item for item in report["findings"] if item["code"] == "grey-among-colour")
    assert finding["cases"] == ["a", "b"]


def test_patient_in_two_splits_is_refused(upload, picture, freeze):
    rows = b"stem,split,patient\na,train,p1\nb,test,p1\n"
    upload(
        ("images", "a.png", picture(1)),
        ("images", "b.png", picture(2)),
        ("manifest", "m.csv", rows),
    )

    response = freeze()

    assert response.status_code == 422
    assert response.json()["code"] == "split-leak"


def test_images_the_manifest_leaves_out_follow_their_patient_or_train(
    upload, picture, freeze, client, headers, dataset_id
):
    rows = b"stem,split,patient\na,test,p1\nb,,p1\n"
    upload(
        *(("images", f"{n}.png", picture(i)) for i, n in enumerate("abc")),
        ("manifest", "m.csv", rows),
    )
    freeze()

    items = client.get(f"/v1/datasets/{dataset_id}/versions/1/items", headers=headers).json()
    assert [item["split"] for item in items["items"]] == ["test", "test", "train"]


def test_given_fractions_deal_all_images_anew(pairs, freeze):
    pairs(10)

    response = freeze(split_fractions=[0.5, 0.0, 0.5])

    assert response.json()["summary"]["splits"] == {"train": 5, "validation": 0, "test": 5}


@pytest.mark.parametrize(
    "wrong",
    [
        {"split_fractions": [0.5, 0.5]},
        {"split_fractions": [0.5, 0.5, 0.5]},
        {"split_fractions": [-0.5, 0.5, 1.0]},
        {"seed": -1},
        {"note": "x" * 1001},
    ],
)
def test_wrong_freezing_is_unprocessable(freeze, wrong):
    assert freeze(**wrong).status_code == 422
