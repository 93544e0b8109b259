import pytest

from amlp.errors import DataError
from amlp.manifest import MANIFEST_NAME, Case, Manifest, assign_splits


def case(case_id, split="train", **values):
    return Case(
        case_id=case_id,
        patient=case_id,
        split=split,
        image=f"images/{case_id}.png",
        image_sha256="0" * 64,
        height=8,
        width=9,
        **values,
    )


MANIFEST = Manifest(
    name="x", channels=1, cases=(case("a"), case("b", "test", mask="masks/b.png", labels=(1,)))
)


def test_a_manifest_comes_back_from_its_folder(tmp_path):
    MANIFEST.save(tmp_path)

    assert Manifest.load(tmp_path) == MANIFEST


def test_a_folder_without_manifest_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=MANIFEST_NAME):
        Manifest.load(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"schema_version": 2}', '{"name": "x", "more": 1}'])
def test_a_file_that_is_no_manifest_is_a_data_error(tmp_path, content):
    (tmp_path / MANIFEST_NAME).write_text(content)

    with pytest.raises(DataError, match="not a data set manifest"):
        Manifest.load(tmp_path)


def test_the_digest_ignores_order_and_name():
    other = MANIFEST.model_copy(update={"name": "y", "cases": MANIFEST.cases[::-1]})

    assert other.digest == MANIFEST.digest


@pytest.mark.parametrize(
    "changed",
    [
        {"channels": 3},
        {"label_names": ("background", "polyp")},
        {"cases": MANIFEST.cases[:1]},
        {"cases": (case("a", "test"), MANIFEST.cases[1])},
    ],
)
def test_the_digest_changes_with_contents_and_splits(changed):
    assert MANIFEST.model_copy(update=changed).digest != MANIFEST.digest


def test_cases_are_chosen_by_split_and_labels():
    assert [found.case_id for found in MANIFEST.of_split("train", "test")] == ["a", "b"]
    assert [found.case_id for found in MANIFEST.of_split("train", "test", labelled=True)] == ["b"]
    assert MANIFEST.of_split("validation") == ()


def test_classes_count_the_background():
    assert MANIFEST.num_classes == 2


def test_splits_have_the_asked_shares():
    splits = list(assign_splits(f"p{index}" for index in range(100)).values())

    assert [splits.count(split) for split in ("train", "validation", "test")] == [70, 10, 20]


def test_repeats_and_order_of_patients_do_not_matter():
    assert assign_splits(["a", "b", "c", "a"]) == assign_splits(["c", "b", "a"])


def test_another_seed_assigns_other_patients():
    patients = [f"p{index}" for index in range(30)]

    assert assign_splits(patients, seed=1) != assign_splits(patients, seed=2)


def test_no_patients_give_no_splits():
    assert assign_splits([]) == {}
