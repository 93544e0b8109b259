import numpy as np
import pytest
from PIL import Image

from amlp.errors import DataError, EmptyDataset
from amlp.imageio.folder import read_folder
from amlp.imageio.reader import read_image
from amlp.manifest import Manifest
from amlp.phantom import generate_phantoms


def save(root, name, values):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


GREY = np.arange(72, dtype=np.uint8).reshape(8, 9)
COLOUR = np.stack([GREY, GREY + 1, GREY + 2], axis=-1)
LESION = (GREY > 30) * np.uint8(255)


def test_a_raw_folder_becomes_a_data_set(tmp_path):
    generate_phantoms(tmp_path / "raw", 12, size=32, seed=1)

    manifest, issues = read_folder(tmp_path / "raw", tmp_path / "out", name="phantoms")

    assert Manifest.load(tmp_path / "out") == manifest
    assert issues == []
    assert len(manifest.cases) == 12
    assert {case.split for case in manifest.cases} == {"train", "validation", "test"}
    for case in manifest.cases:
        raw = read_image(tmp_path / "raw" / case.image).pixels
        np.testing.assert_array_equal(read_image(tmp_path / "out" / case.image).pixels, raw)


def test_the_digest_does_not_depend_on_where_it_was_written(tmp_path):
    generate_phantoms(tmp_path / "raw", 3, size=32)

    digests = {
        read_folder(tmp_path / "raw", tmp_path / out, name=out)[0].digest for out in ("a", "b")
    }

    assert len(digests) == 1


def test_a_plain_folder_of_images_is_unlabelled(tmp_path):
    for stem in "abc":
        save(tmp_path, f"raw/{stem}.png", GREY)

    manifest, _ = read_folder(tmp_path / "raw", tmp_path / "out", name="plain")

    assert [case.mask for case in manifest.cases] == [None, None, None]


def test_a_bad_case_is_left_out_and_reported(tmp_path):
    save(tmp_path, "raw/images/a.png", GREY)
    save(tmp_path, "raw/masks/a.png", LESION)
    save(tmp_path, "raw/images/b.png", GREY)
    save(tmp_path, "raw/masks/b.png", LESION[:4])
    (tmp_path / "raw/images/c.png").write_bytes(b"<html></html>")

    manifest, issues = read_folder(tmp_path / "raw", tmp_path / "out", name="mixed")

    assert [case.case_id for case in manifest.cases] == ["a"]
    errors = {(issue.subject, issue.code) for issue in issues if issue.level == "error"}
    assert errors == {("b", "data.geometry-mismatch"), ("c", "data.unsupported-image")}


def test_grey_among_colour_is_stored_as_rgb(tmp_path):
    save(tmp_path, "raw/a.png", GREY)
    save(tmp_path, "raw/b.png", COLOUR)

    manifest, issues = read_folder(tmp_path / "raw", tmp_path / "out", name="mixed")

    assert manifest.channels == 3
    assert read_image(tmp_path / "out/images/a.png").channels == 3
    assert [(issue.subject, issue.code) for issue in issues] == [("a", "data.channels")]


def test_grey_stored_as_colour_becomes_grey(tmp_path):
    save(tmp_path, "raw/a.png", np.repeat(GREY[..., None], 3, axis=2))

    manifest, _ = read_folder(tmp_path / "raw", tmp_path / "out", name="grey")

    assert manifest.channels == 1
    np.testing.assert_array_equal(read_image(tmp_path / "out/images/a.png").pixels[0, 0], GREY)


def test_labels_above_1_get_names(tmp_path):
    save(tmp_path, "raw/images/a.png", GREY)
    save(tmp_path, "raw/masks/a.png", np.minimum(GREY, 3))

    manifest, _ = read_folder(tmp_path / "raw", tmp_path / "out", name="organs")

    assert manifest.label_names == ("background", "label_1", "label_2", "label_3")
    assert manifest.cases[0].labels == (1, 2, 3)


def test_progress_counts_all_files(tmp_path):
    generate_phantoms(tmp_path / "raw", 3, size=32)
    seen = []

    read_folder(
        tmp_path / "raw", tmp_path / "out", name="p", progress=lambda *done: seen.append(done)
    )

    assert seen == [(done, 6) for done in range(1, 7)]


def test_a_folder_without_images_is_empty(tmp_path):
    (tmp_path / "raw").mkdir()

    with pytest.raises(EmptyDataset, match="no usable case"):
        read_folder(tmp_path / "raw", tmp_path / "out", name="empty")


def test_an_unknown_split_is_refused(tmp_path):
    save(tmp_path, "raw/images/a.png", GREY)
    (tmp_path / "raw/manifest.csv").write_text("stem,split\na,banana\n")

    with pytest.raises(DataError, match="unknown split"):
        read_folder(tmp_path / "raw", tmp_path / "out", name="bad")
