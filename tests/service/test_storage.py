"""Blobs in a folder and in an object store."""

import boto3
import pytest
from moto.server import ThreadedMotoServer

from service.errors import NotFound, StorageExhausted
from service.storage import Storage


@pytest.fixture(scope="session")
def s3_endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.integration)])
def storage(request, tmp_path, monkeypatch):
    if request.param == "folder":
        return Storage(tmp_path.as_uri())
    endpoint = request.getfixturevalue("s3_endpoint")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{abs(hash(request.node.name))}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=bucket)
    return Storage(f"s3://{bucket}/prefix")


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
