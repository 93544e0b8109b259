"""Rows on both databases."""

import time

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from service.database import db_now, new_id
from service.datasets.tables import Dataset, DatasetFile


def dataset(name: str = "x") -> Dataset:
    return Dataset(
        id=new_id("ds"), tenant_id="t", name=name, kind="segmentation", label_names=["a", "b"]
    )


def test_clock_of_the_database_gives_unix_seconds(any_resources):
    with any_resources.database.read() as session:
        now = session.scalar(select(db_now()))

    assert now == pytest.approx(time.time(), abs=30)


def test_clock_of_the_database_moves_within_a_transaction(any_resources):
    with any_resources.database.write() as session:
        first = session.scalar(select(db_now()))
        time.sleep(0.02)
        second = session.scalar(select(db_now()))

    assert second > first


def test_rows_are_stamped_by_the_database(any_resources):
    row = dataset()
    with any_resources.database.write() as session:
        session.add(row)

    assert row.created_at == pytest.approx(time.time(), abs=30)


def test_failed_write_leaves_nothing(any_resources):
    def fail() -> None:
        with any_resources.database.write() as session:
            session.add(dataset())
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    with any_resources.database.read() as session:
        assert session.scalars(select(Dataset)).all() == []


def test_foreign_keys_hold(any_resources):
    file = DatasetFile(
        id="file_1",
        dataset_id="ds_none",
        role="image",
        stem="a",
        key="k",
        sha256="0",
        num_bytes=1,
        channels=1,
        is_grey=True,
        num_slices=1,
        height=1,
        width=1,
        labels=[],
        warnings=[],
    )

    with pytest.raises(IntegrityError), any_resources.database.write() as session:
        session.add(file)


def test_json_comes_back_as_it_went(any_resources):
    row = dataset("é \u4e2d")
    with any_resources.database.write() as session:
        session.add(row)

    with any_resources.database.read() as session:
        found = session.scalars(select(Dataset)).one()
    assert (found.name, found.label_names) == ("é \u4e2d", ["a", "b"])


def test_ids_sort_by_creation():
    first = new_id("job")
    time.sleep(0.002)

    assert first < new_id("job")
