"""Finding versions, as jobs do."""

import pytest

from service.datasets.versions import find_version, load_manifest
from service.errors import Conflict, NotFound


@pytest.fixture
def version_id(upload, picture, freeze):
    upload(("images", "a.png", picture()))
    return freeze().json()["id"]


def find(resources, reference, tenant_id="default"):
    with resources.database.read() as session:
        return find_version(session, tenant_id, reference)


def test_version_is_found_by_its_id(resources, version_id):
    assert find(resources, version_id).id == version_id


def test_data_set_means_its_newest_version(
    resources, version_id, dataset_id, upload, picture, freeze
):
    upload(("images", "b.png", picture(2)))
    newest = freeze().json()["id"]

    assert find(resources, dataset_id).id == newest


def test_data_set_without_versions_is_a_conflict(resources, dataset_id):
    with pytest.raises(Conflict, match="no frozen version"):
        find(resources, dataset_id)


@pytest.mark.parametrize("reference", ["dsv_none", "ds_none", "", "x"])
def test_unknown_reference_is_not_found(resources, version_id, reference):
    with pytest.raises(NotFound):
        find(resources, reference)


def test_another_tenant_finds_no_version(resources, version_id, dataset_id):
    for reference in (version_id, dataset_id):
        with pytest.raises(NotFound):
            find(resources, reference, tenant_id="other")


def test_version_of_a_deleted_data_set_is_not_found(
    resources, version_id, client, headers, dataset_id
):
    client.delete(f"/v1/datasets/{dataset_id}", headers=headers)

    with pytest.raises(NotFound):
        find(resources, version_id)


def test_manifest_is_the_frozen_one(resources, version_id):
    version = find(resources, version_id)

    assert load_manifest(resources.storage, version).digest == version.digest


@pytest.mark.parametrize("content", [b"{}", None])
def test_manifest_that_was_tampered_with_is_refused(resources, version_id, content):
    version = find(resources, version_id)
    stored = resources.storage.get_bytes(version.manifest_key)
    changed = content or stored.replace(b'"lesion"', b'"tumour"')
    resources.storage.put_bytes(version.manifest_key, changed)

    with pytest.raises(Conflict) as caught:
        load_manifest(resources.storage, version)

    assert caught.value.code == "dataset-changed"
