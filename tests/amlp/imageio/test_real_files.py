"""Real and hostile files, judged by the answers written down beside them."""

import csv
import os
from pathlib import Path

import pytest

from amlp.errors import AmlpError, GeometryMismatch, ImageTooLarge, UnsupportedImage
from amlp.imageio.canonicalise import CanonicaliseJob, CanonicaliseResult, check_same_grid
from amlp.imageio.isolation import ProcessLimits, canonicalise_files

DATA = Path(os.environ.get("AMLP_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
ABSENT = pytest.mark.skipif(not DATA.is_dir(), reason="no real images (set AMLP_TEST_DATA)")
LIMITS = ProcessLimits(memory_bytes=3 * 1024**3, cpu_seconds=10, wall_seconds=30.0)

# Called hostile, and read all the same, for the content is right or the fault is harmless.
READ_WITH_REASON = {
    "images/dicom_named.png",
    "dicom/spacing_text.dcm",
    "nifti/not_gzip.nii.gz",
    "nifti/singular_affine.nii.gz",
}
ONLY_WRONG_TOGETHER = ("dicom/same_uid", "dicom/series_", "nifti/pair_")


def rows_of(manifest: str) -> list[dict[str, str]]:
    path = DATA / manifest
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


LISTED = rows_of("hostile/manifest.csv")
HOSTILE = [row for row in LISTED if row["file"].startswith(("images/", "dicom/", "nifti/"))]
MASKS = [row for row in LISTED if row["file"].startswith("pairs/") and "/masks/" in row["file"]]
DICOM = rows_of("dicom/manifest.csv")
NIFTI = rows_of("nifti/manifest.csv")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """All files in one go, in limited processes; a crash costs only its own file."""
    out = tmp_path_factory.mktemp("canonical")
    names = [
        *(("image", f"hostile/{row['file']}") for row in HOSTILE),
        *(("mask", f"hostile/{row['file']}") for row in MASKS),
        *(("image", f"dicom/{row['file']}") for row in DICOM),
        *(("image", f"nifti/{row['file']}") for row in NIFTI),
        ("image", "hostile/pairs/mask_size_differs/images/mask_size_differs.png"),
        ("mask", "hostile/nifti/pair_shape/mask.nii.gz"),
        ("mask", "hostile/nifti/pair_affine/mask.nii.gz"),
    ]
    jobs = [
        CanonicaliseJob(DATA / name, role, f"case-{index}")
        for index, (role, name) in enumerate(names)
    ]
    results = canonicalise_files(jobs, out, process=LIMITS)
    return dict(zip(names, results, strict=True))


@ABSENT
@pytest.mark.parametrize("row", HOSTILE, ids=lambda row: row["file"])
def test_a_hostile_file_gets_its_typed_answer(outcomes, row):
    outcome = outcomes["image", f"hostile/{row['file']}"]
    name, status = row["file"], row["status"]

    if status == "201" or name in READ_WITH_REASON or name.startswith(ONLY_WRONG_TOGETHER):
        assert isinstance(outcome, CanonicaliseResult), outcome
    elif status == "413":
        assert isinstance(outcome, ImageTooLarge)
    elif status == "415":
        assert isinstance(outcome, UnsupportedImage)
    else:
        assert isinstance(outcome, AmlpError)
    assert "died" not in str(outcome)


@ABSENT
@pytest.mark.parametrize("row", MASKS, ids=lambda row: row["file"])
def test_a_mask_is_read_in_full_or_refused(outcomes, row):
    outcome = outcomes["mask", f"hostile/{row['file']}"]

    if "soft" in row["file"] or "three_values" in row["file"]:
        assert isinstance(outcome, AmlpError)
    else:
        assert outcome.labels == (() if "mask_empty" in row["file"] else (1,))


@ABSENT
@pytest.mark.parametrize("row", DICOM, ids=lambda row: row["file"])
def test_a_real_dicom_file_is_read_or_refused_as_expected(outcomes, row):
    outcome = outcomes["image", f"dicom/{row['file']}"]

    if row["expect"] == "accept":
        assert (outcome.height, outcome.width) == (int(row["rows"]), int(row["cols"]))
        assert outcome.num_slices == int(row["frames"] or 1)
    else:
        assert isinstance(outcome, AmlpError)


@ABSENT
@pytest.mark.parametrize("row", NIFTI, ids=lambda row: row["file"])
def test_a_real_nifti_file_keeps_its_grid(outcomes, row):
    outcome = outcomes["image", f"nifti/{row['file']}"]
    shape = [int(length) for length in row["shape"].split("x")]

    if len(shape) > 4 or row["format"] == "Nifti1Pair":
        assert isinstance(outcome, UnsupportedImage)
    else:
        assert [outcome.width, outcome.height, outcome.num_slices] == shape[:3]
        assert outcome.channels == (shape[3] if len(shape) == 4 else 1)


@ABSENT
@pytest.mark.parametrize(
    "pattern",
    [
        "hostile/pairs/mask_size_differs/{}s/mask_size_differs.png",
        "hostile/nifti/pair_shape/{}.nii.gz",
        "hostile/nifti/pair_affine/{}.nii.gz",
    ],
)
def test_a_pair_on_two_grids_is_refused(outcomes, pattern):
    image, mask = (outcomes[role, pattern.format(role)] for role in ("image", "mask"))

    with pytest.raises(GeometryMismatch):
        check_same_grid(image, mask)
