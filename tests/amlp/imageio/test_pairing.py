import pytest

from amlp.errors import DataError
from amlp.imageio.pairing import (
    ManifestRow,
    PairedCase,
    check_stem,
    find_leaks,
    is_junk,
    pair_cases,
    parse_manifest_csv,
    stem_of,
)


def codes(issues):
    return [(issue.subject, issue.code) for issue in issues]


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.png", "a"), ("images/b.c.dcm", "b.c"), ("v.nii.gz", "v"), ("V.NII.GZ", "V"), ("d", "d")],
)
def test_stem_is_the_name_without_folder_and_suffix(name, stem):
    assert stem_of(name) == stem


def test_stems_are_composed():
    assert stem_of("e\u0301.png") == "\u00e9"


@pytest.mark.parametrize(
    "stem",
    [
        "",
        "../a",
        "a/b",
        "a\\b",
        "C:a",
        ".a",
        "-rf",
        "a\0b",
        "a\nb",
        "a\u202eb",
        "\ud800",
        "x" * 151,
    ],
)
def test_names_that_are_not_plain_are_refused(stem):
    with pytest.raises(DataError):
        check_stem(stem)


@pytest.mark.parametrize("stem", ["case_1", "benign (12)", "患者-3", "a.b"])
def test_plain_names_pass(stem):
    check_stem(stem)


@pytest.mark.parametrize("name", ["__MACOSX", "._a.png", ".DS_Store", "Thumbs.db"])
def test_leftovers_of_operating_systems_are_junk(name):
    assert is_junk(name)


def test_images_and_masks_are_paired_by_stem():
    cases, issues = pair_cases(["b.jpg", "a.png", ".DS_Store"], ["a.nii.gz", "b.png"])

    assert cases == [PairedCase("a", "a.png", "a.nii.gz"), PairedCase("b", "b.jpg", "b.png")]
    assert issues == []


def test_images_without_any_masks_are_unlabelled_without_a_warning():
    cases, issues = pair_cases(["a.png"], [])

    assert (cases, issues) == ([PairedCase("a", "a.png")], [])


def test_a_missing_mask_among_others_is_a_warning():
    cases, issues = pair_cases(["a.png", "b.png"], ["a.png"])

    assert [case.mask for case in cases] == ["a.png", None]
    assert [(issue.code, issue.level) for issue in issues] == [("case.unlabelled", "warning")]


def test_a_mask_without_an_image_is_an_error_that_names_it():
    cases, issues = pair_cases(["a.png"], ["a.png", "b.png"])

    assert len(cases) == 1
    assert codes(issues) == [("b", "case.orphan-mask")]


@pytest.mark.parametrize("other", ["a.jpg", "A.png"])
def test_two_images_of_one_stem_are_ambiguous(other):
    cases, issues = pair_cases(["a.png", other], [])

    assert cases == []
    assert {issue.code for issue in issues} == {"case.duplicate-stem"}


def test_a_bad_name_is_an_error_that_does_not_repeat_it():
    cases, issues = pair_cases(["a\u202egnp.png", "b.png"], [])

    assert [case.stem for case in cases] == ["b"]
    assert codes(issues) == [("image 1", "case.bad-name")]


def test_rows_give_split_and_group():
    rows = [ManifestRow("a", "test", "p1")]

    cases, issues = pair_cases(["a.png"], [], rows)

    assert cases == [PairedCase("a", "a.png", None, "test", "p1")]
    assert issues == []


def test_a_group_in_two_splits_is_a_leak():
    rows = [ManifestRow("a", "train", "p"), ManifestRow("b", "test", "p"), ManifestRow("c", "test")]

    cases, issues = pair_cases(["a.png", "b.png", "c.png"], [], rows)

    assert [case.stem for case in cases] == ["c"]
    assert codes(issues) == [("a", "case.split-leak"), ("b", "case.split-leak")]


def test_one_image_in_two_splits_is_a_leak():
    rows = [ManifestRow("a", "train"), ManifestRow("a", "test")]

    cases, issues = pair_cases(["a.png"], [], rows)

    assert cases == []
    assert codes(issues) == [("a", "case.split-leak")]


def test_a_case_without_split_among_others_with_one_is_an_error():
    cases, issues = pair_cases(["a.png", "b.png"], [], [ManifestRow("a", "train")])

    assert [case.stem for case in cases] == ["a"]
    assert codes(issues) == [("b", "case.no-split")]


def test_a_row_without_an_image_is_an_error():
    _, issues = pair_cases(["a.png"], [], [ManifestRow("a"), ManifestRow("ghost")])

    assert codes(issues) == [("ghost", "case.missing-image")]


def test_no_leak_is_found_where_each_group_has_one_split():
    assert find_leaks({"a": ("p", "train"), "b": ("p", None), "c": ("q", "test")}) == []


def test_a_manifest_is_parsed():
    rows = parse_manifest_csv(b"\xef\xbb\xbfStem,split,patient,note\na,valid,p1,=1+1\nb,,,\n")

    assert rows == [ManifestRow("a", "validation", "p1"), ManifestRow("b")]


def test_an_image_column_names_the_stem():
    rows = parse_manifest_csv(b"image,mask,split\nimages/a.png,masks/a.png,train\n")

    assert rows == [ManifestRow("a", "train")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("stem,split\na,train\n".encode("utf-16"), "UTF-8"),
        (b"name,split\na,train\n", "no column stem"),
        (b"", "no column stem"),
        (b"stem,split\na,banana\n", "line 2 .* unknown split"),
        (b"image,split\n../../etc/passwd,train\n", "line 2"),
        (b"image,split\nfile:///etc/passwd,train\n", "line 2"),
        (b"image,split\nhttp://169.254.169.254/latest/,test\n", "line 2"),
        (b'stem,split\n"a\0b",train\n', "manifest.csv"),
        (b'stem\n"a\n', "comma-separated"),
        (b"stem,split,patient\na,train\n", None),
    ],
)
def test_bad_manifests_are_refused_by_line(data, message):
    if message is None:
        assert parse_manifest_csv(data) == [ManifestRow("a", "train")]
        return
    with pytest.raises(DataError, match=message):
        parse_manifest_csv(data)
