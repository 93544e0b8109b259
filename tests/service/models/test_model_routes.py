"""Models over HTTP."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from service.models.registry import NewVersion, register
from service.resources import Resources

Headers = dict[str, str]


@pytest.fixture
def skin(resources: Resources) -> str:
    """Register two versions of `skin`; return the address of the name."""
    for number in (1, 2):
        key = f"jobs/job_{number}/e1/model"
        resources.storage.put_bytes(f"{key}/weights.safetensors", b"weights %d" % number)
        version = NewVersion(
            tenant_id="default",
            name="skin",
            kind="segmenter",
            key=key,
            sha256=str(number) * 64,
            card={"architecture": {"channels": 3}},
            metrics={"validation/dice": 0.8},
            job_id=f"job_{number}",
            dataset_version_id="dsv_1",
            dataset_digest="sha256:1",
            parent_id="mdl_parent",
        )
        with resources.database.write() as session:
            register(session, version)
    return "/v1/models/skin"


def test_list_shows_each_name_once_with_its_newest_version_and_aliases(
    client: TestClient, headers: Headers, skin: str
) -> None:
    client.put(f"{skin}/aliases/champion", json={"version": 1}, headers=headers)

    [item] = client.get("/v1/models", headers=headers).json()["items"]

    assert (item["name"], item["newest"]["number"]) == ("skin", 2)
    assert item["aliases"] == {"champion": 1}


def test_versions_are_listed_newest_first(client: TestClient, headers: Headers, skin: str) -> None:
    items = client.get(f"{skin}/versions", headers=headers).json()["items"]

    assert sorted(item["number"] for item in items) == [1, 2]


def test_version_tells_its_lineage(client: TestClient, headers: Headers, skin: str) -> None:
    version = client.get(f"{skin}/versions/1", headers=headers).json()

    assert version["lineage"] == {
        "parent_id": "mdl_parent",
        "job_id": "job_1",
        "dataset_version_id": "dsv_1",
        "dataset_digest": "sha256:1",
    }


def test_card_and_weights_are_served(client: TestClient, headers: Headers, skin: str) -> None:
    card = client.get(f"{skin}/versions/1/card", headers=headers)
    weights = client.get(f"{skin}/versions/1/weights", headers=headers)

    assert card.json()["card"] == {"architecture": {"channels": 3}}
    assert weights.content == b"weights 1"
    assert weights.headers["etag"] == f'"sha256:{"1" * 64}"'


@pytest.mark.parametrize("part", ["versions/7", "versions/7/weights", "aliases/none"])
def test_what_is_not_there_is_not_found(
    client: TestClient, headers: Headers, skin: str, part: str
) -> None:
    assert client.get(f"{skin}/{part}", headers=headers).status_code == 404


def test_alias_is_moved_with_its_etag_only(client: TestClient, headers: Headers, skin: str) -> None:
    address = f"{skin}/aliases/champion"
    etag = client.put(address, json={"version": 1}, headers=headers).headers["ETag"]

    without = client.put(address, json={"version": 2}, headers=headers)
    stale = client.put(address, json={"version": 2}, headers=headers | {"If-Match": '"x"'})
    moved = client.put(address, json={"version": 2}, headers=headers | {"If-Match": etag})

    assert [answer.status_code for answer in (without, stale, moved)] == [428, 412, 200]
    assert client.get(address, headers=headers).json()["version"] == 2


def test_removed_alias_is_gone(client: TestClient, headers: Headers, skin: str) -> None:
    address = f"{skin}/aliases/champion"
    etag = client.put(address, json={"version": 1}, headers=headers).headers["ETag"]

    removed = client.delete(address, headers=headers | {"If-Match": etag})

    assert removed.status_code == 204
    assert client.get(f"{skin}/aliases", headers=headers).json() == []


def test_reader_may_not_promote(
    client: TestClient, make_headers: Callable[..., Headers], skin: str
) -> None:
    answer = client.put(
        f"{skin}/aliases/champion", json={"version": 1}, headers=make_headers("models:read")
    )

    assert answer.status_code == 403


def test_other_tenants_see_no_models(
    client: TestClient, make_headers: Callable[..., Headers], skin: str
) -> None:
    stranger = make_headers("models:read", tenant_id="other")

    assert client.get("/v1/models", headers=stranger).json()["items"] == []
    assert client.get(f"{skin}/versions", headers=stranger).status_code == 404
