"""Findings about a version."""

import pytest

from amlp.manifest import Case, Manifest
from service.datasets.review import review
from service.datasets.tables import Dataset


def case(name, *, split="train", sha="0", labels=(1,), has_mask=True):
    return Case(
        case_id=name,
        patient=name,
        split=split,
        image=f"files/{name}.png",
        image_sha256=sha,
        mask=f"files/{name}-mask.png" if has_mask else None,
        mask_sha256="1" if has_mask else None,
        height=8,
        width=8,
        labels=labels if has_mask else (),
    )


def codes(*cases, kind="segmentation"):
    manifest = Manifest(name="x", channels=1, cases=cases)
    return [finding["code"] for finding in review(Dataset(kind=kind), manifest)]


WHOLE = (
    case("a", sha="a"),
    case("b", sha="b", split="validation"),
    case("c", sha="c", split="test"),
)


def test_sound_version_has_no_findings():
    assert codes(*WHOLE) == []


@pytest.mark.parametrize(
    ("split", "code"), [("train", "duplicate"), ("test", "duplicate-across-splits")]
)
def test_same_picture_under_two_names_is_found(split, code):
    assert codes(*WHOLE, case("d", sha="a", split=split)) == [code]


def test_images_without_masks_are_found():
    assert codes(*WHOLE, case("d", sha="d", has_mask=False)) == ["unlabelled"]


def test_unlabelled_set_needs_no_masks():
    cases = [one.model_copy(update={"mask": None, "labels": ()}) for one in WHOLE]

    assert codes(*cases, kind="unlabelled") == []


def test_masks_that_are_all_empty_are_found():
    cases = [one.model_copy(update={"labels": ()}) for one in WHOLE]

    assert codes(*cases) == ["no-lesion"]


def test_empty_split_is_found():
    assert codes(*WHOLE[:2]) == ["empty-split"]
