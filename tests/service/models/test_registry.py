"""Versions, references and aliases of models, on both databases."""

import threading
from typing import Any

import pytest

from service.errors import NotFound, PreconditionFailed, PreconditionRequired
from service.models.aliases import find_alias, list_aliases, point_alias, remove_alias
from service.models.registry import (
    NewVersion,
    find_version,
    record_evaluation,
    register,
    resolve,
)
from service.models.tables import ModelVersion
from service.resources import Resources


def new(name: str = "skin", **given: Any) -> NewVersion:
    values: dict[str, Any] = {
        "tenant_id": "default",
        "name": name,
        "kind": "segmenter",
        "key": "k",
        "sha256": "b" * 64,
        "card": {},
        "metrics": {},
        "job_id": "job_1",
        "dataset_version_id": "dsv_1",
        "dataset_digest": "sha256:1",
        "parent_id": None,
    }
    return NewVersion(**(values | given))


def add(resources: Resources, name: str = "skin", **given: Any) -> ModelVersion:
    with resources.database.write() as session:
        return register(session, new(name, **given))


def number_of(resources: Resources, reference: str) -> int:
    with resources.database.read() as session:
        return resolve(session, "default", reference).number


def point(resources: Resources, alias: str, number: int, if_match: str | None = None) -> str:
    with resources.database.write() as session:
        return point_alias(session, "default", "skin", alias, number=number, if_match=if_match).etag


def test_versions_of_a_name_are_numbered_from_one(any_resources: Resources) -> None:
    numbers = [add(any_resources, name).number for name in ("skin", "skin", "lung")]

    assert numbers == [1, 2, 1]


def test_racing_registrations_get_different_numbers(any_resources: Resources) -> None:
    barrier = threading.Barrier(4)

    def race() -> None:
        barrier.wait()
        for _ in range(3):
            add(any_resources)

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert number_of(any_resources, "skin") == 12


def test_name_means_its_newest_version(any_resources: Resources) -> None:
    add(any_resources)
    add(any_resources)

    assert number_of(any_resources, "skin") == 2


def test_name_means_its_champion_where_there_is_one(any_resources: Resources) -> None:
    add(any_resources)
    add(any_resources)
    point(any_resources, "champion", 1)

    assert number_of(any_resources, "skin") == 1


def test_number_alias_and_id_are_references(any_resources: Resources) -> None:
    first = add(any_resources)
    add(any_resources)
    point(any_resources, "stable", 1)

    assert number_of(any_resources, "skin@1") == 1
    assert number_of(any_resources, "skin@stable") == 1
    assert number_of(any_resources, first.id) == 1


@pytest.mark.parametrize(
    "reference", ["none", "skin@9", "skin@none", "mdl_none", "skin@99999999999999999999"]
)
def test_unknown_reference_is_not_found(any_resources: Resources, reference: str) -> None:
    add(any_resources)

    with any_resources.database.read() as session, pytest.raises(NotFound):
        resolve(session, "default", reference)


def test_model_of_another_tenant_is_not_found(any_resources: Resources) -> None:
    version = add(any_resources)

    with any_resources.database.read() as session, pytest.raises(NotFound):
        resolve(session, "other", version.id)


def test_alias_moves_only_with_its_current_etag(any_resources: Resources) -> None:
    add(any_resources)
    add(any_resources)
    etag = point(any_resources, "champion", 1)

    with pytest.raises(PreconditionRequired):
        point(any_resources, "champion", 2)
    with pytest.raises(PreconditionFailed):
        point(any_resources, "champion", 2, if_match='"old"')
    moved = point(any_resources, "champion", 2, if_match=f'"{etag}"')

    assert moved != etag
    assert number_of(any_resources, "skin@champion") == 2


def test_alias_cannot_point_at_a_version_that_is_not_there(any_resources: Resources) -> None:
    add(any_resources)

    with pytest.raises(NotFound):
        point(any_resources, "champion", 7)


def test_removed_alias_is_gone_and_its_version_stays(any_resources: Resources) -> None:
    add(any_resources)
    etag = point(any_resources, "champion", 1)

    with any_resources.database.write() as session:
        remove_alias(session, "default", "skin", "champion", if_match=f'"{etag}"')

    with any_resources.database.read() as session:
        assert list_aliases(session, "default", "skin") == []
        with pytest.raises(NotFound):
            find_alias(session, "default", "skin", "champion")
        assert find_version(session, "default", "skin", 1).number == 1


def test_evaluation_is_added_to_the_metrics_of_its_version(any_resources: Resources) -> None:
    version = add(any_resources, metrics={"validation/dice": 0.8})

    with any_resources.database.write() as session:
        record_evaluation(session, version.id, name="evaluation/d/test", metrics={"dice": 0.7})

    with any_resources.database.read() as session:
        found = find_version(session, "default", "skin", 1)
    assert found.metrics == {"validation/dice": 0.8, "evaluation/d/test": {"dice": 0.7}}
