"""Blobs in a folder and in an object store."""

import pytest

from service.errors import NotFound, StorageExhausted
from service.storage import Storage


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.integration)])
def storage(request, tmp_path):
    if request.param == "folder":
        return Storage(tmp_path.as_uri())
    return Storage(request.getfixturevalue("s3_url"))


def test_blob_comes_back_as_it_went(storage):
    storage.put_bytes("a/b.bin", b"content")

    assert storage.get_bytes("a/b.bin") == b"content"


def test_file_comes_back_as_it_went(storage, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 1000)

    storage.put_file("a/file", source)
    storage.get_file("a/file", tmp_path / "deep" / "copy")

    assert (tmp_path / "deep" / "copy").read_bytes() == source.read_bytes()


def test_second_put_replaces_the_first(storage):
    storage.put_bytes("a", b"1")
    storage.put_bytes("a", b"22")

    assert (storage.get_bytes("a"), storage.size("a")) == (b"22", 2)


def test_missing_blob_is_not_found(storage):
    for look in (storage.get_bytes, storage.size, storage.stream):
        with pytest.raises(NotFound):
            look("none")
    assert not storage.exists("none")


def test_keys_below_a_prefix_are_listed_in_order(storage):
    for key in ("x/2", "x/1", "y/1"):
        storage.put_bytes(key, b"")

    assert storage.keys("x") == ["x/1", "x/2"]


def test_deleting_twice_does_not_matter(storage):
    storage.put_bytes("a", b"1")

    storage.delete(["a", "b"])
    storage.delete(["a"])

    assert not storage.exists("a")


def test_storage_is_writable(storage):
    assert storage.is_writable()


def test_folder_keeps_a_reserve(tmp_path):
    storage = Storage(tmp_path.as_uri(), min_free_bytes=2**62)

    with pytest.raises(StorageExhausted, match="do not fit"):
        storage.put_bytes("a", b"1")
    assert not storage.is_writable()


def test_folder_of_storage_is_private(tmp_path):
    Storage((tmp_path / "objects").as_uri())

    assert (tmp_path / "objects").stat().st_mode & 0o777 == 0o700
