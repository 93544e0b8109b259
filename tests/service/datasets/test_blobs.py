"""Blobs and the rows that name them."""

import pytest

from service.datasets.blobs import stored
from service.datasets.catalog import find_dataset


@pytest.fixture
def dataset(resources, dataset_id):
    with resources.database.read() as session:
        return find_dataset(session, "default", dataset_id)


@pytest.fixture
def blobs(dataset, tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(b"content")
    return {f"datasets/{dataset.id}/files/x.png": path}


def fail(resources, dataset, blobs):
    with stored(resources, dataset, blobs):
        raise RuntimeError


def test_blobs_stay_when_the_block_ends_well(resources, dataset, blobs):
    with stored(resources, dataset, blobs):
        pass

    assert resources.storage.keys("datasets") == list(blobs)


def test_blobs_are_taken_back_when_it_fails(resources, dataset, blobs):
    with pytest.raises(RuntimeError):
        fail(resources, dataset, blobs)

    assert resources.storage.keys("datasets") == []


def test_blobs_that_were_there_before_survive_a_failure(resources, dataset, blobs):
    resources.storage.put_bytes(next(iter(blobs)), b"content")

    with pytest.raises(RuntimeError):
        fail(resources, dataset, blobs)

    assert resources.storage.keys("datasets") == list(blobs)


def test_blob_taken_back_by_another_failed_upload_is_put_again(resources, dataset, blobs):
    with stored(resources, dataset, blobs):
        resources.storage.delete(list(blobs))

    assert resources.storage.keys("datasets") == list(blobs)
