from dataclasses import replace

import numpy as np
import pytest

from amlp.errors import DataError, EmptyDataset
from amlp.imageio.assembly import assemble_manifest
from amlp.imageio.canonicalise import describe_image
from amlp.imageio.image import MedicalImage
from amlp.imageio.pairing import PairedCase


@pytest.fixture
def described(tmp_path):
    path = tmp_path / "any.png"
    path.touch()
    return describe_image(path, MedicalImage(np.zeros((1, 1, 8, 9), np.uint8)))


def test_the_group_of_the_manifest_wins_over_the_patient_of_the_file(described):
    cases = [PairedCase("a", "a.png", group="g"), PairedCase("b", "b.png")]
    pairs = {stem: (replace(described, patient="p"), None) for stem in "ab"}

    manifest, _ = assemble_manifest(cases, pairs, name="x")

    assert [case.patient for case in manifest.cases] == ["g", "p"]


def test_a_patient_of_the_files_in_two_splits_is_a_leak(described):
    cases = [
        PairedCase(stem, "x", split=split)
        for stem, split in zip("abc", ("train", "test", "test"), strict=True)
    ]
    pairs = {
        stem: (replace(described, patient="p" if stem in "ab" else "q"), None) for stem in "abc"
    }

    manifest, issues = assemble_manifest(cases, pairs, name="x")

    assert [case.case_id for case in manifest.cases] == ["c"]
    assert {issue.code for issue in issues} == {"case.split-leak"}


def test_two_images_of_a_patient_are_assigned_to_one_split(described):
    cases = [PairedCase(f"c{index}", "x") for index in range(40)]
    pairs = {
        f"c{index}": (replace(described, patient=f"p{index // 2}"), None) for index in range(40)
    }

    manifest, _ = assemble_manifest(cases, pairs, name="x")

    splits = [case.split for case in manifest.cases]
    assert splits[::2] == splits[1::2]


def test_channels_that_differ_are_refused(described):
    cases = [PairedCase("a", "x"), PairedCase("b", "x")]

    with pytest.raises(DataError, match=r"\[1, 2\] channels"):
        assemble_manifest(
            cases, {"a": (described, None), "b": (replace(described, channels=2), None)}, name="x"
        )


def test_a_data_set_without_cases_is_refused():
    with pytest.raises(EmptyDataset):
        assemble_manifest([PairedCase("a", "x")], {}, name="x")
