import errno
import hashlib

import numpy as np
import pytest

from amlp.errors import GeometryMismatch, InvalidMask, StorageFull
from amlp.imageio.canonicalise import CanonicaliseJob, canonicalise, check_same_grid, describe_image
from amlp.imageio.decoding import writing
from amlp.imageio.image import MedicalImage
from amlp.imageio.reader import read_image


@pytest.fixture
def described(tmp_path):
    def describe(shape, affine=None):
        path = tmp_path / "any"
        path.touch()
        return describe_image(path, MedicalImage(np.zeros(shape, np.uint8), affine=affine))

    return describe


def test_an_image_gets_a_canonical_file_and_a_thumbnail(picture_file, tmp_path, rng):
    values = rng.integers(0, 256, (30, 600), dtype=np.uint8)
    job = CanonicaliseJob(picture_file(values, "raw.tif"), "image", "case")

    result = canonicalise(job, tmp_path)

    assert (result.file, result.thumbnail) == ("case.png", "case.thumbnail.png")
    assert (result.channels, result.num_slices, result.height, result.width) == (1, 1, 30, 600)
    assert read_image(tmp_path / "case.thumbnail.png").size == (13, 256)


def test_the_digest_is_of_the_canonical_file(picture_file, tmp_path):
    job = CanonicaliseJob(picture_file(np.zeros((9, 9), np.uint8)), "image", "case")

    result = canonicalise(job, tmp_path)

    assert result.sha256 == hashlib.sha256((tmp_path / result.file).read_bytes()).hexdigest()


def test_nothing_of_the_raw_file_but_its_pixels_is_stored(dicom_file, tmp_path):
    path = dicom_file(np.zeros((1, 9, 9), np.uint8), PatientName="Canary^Name", PatientID="canary")

    result = canonicalise(CanonicaliseJob(path, "image", "case"), tmp_path)

    assert b"anary" not in (tmp_path / result.file).read_bytes()


def test_a_mask_is_described_by_its_labels(picture_file, tmp_path):
    values = np.array([[0, 255], [255, 0]], np.uint8)

    result = canonicalise(CanonicaliseJob(picture_file(values), "mask", "case"), tmp_path)

    assert (result.labels, result.thumbnail) == ((1,), None)
    assert read_image(tmp_path / result.file).pixels.max() == 1


def test_a_bad_mask_writes_nothing(picture_file, tmp_path):
    source = picture_file(np.array([[0, 127], [200, 255]], np.uint8))
    out = tmp_path / "out"
    out.mkdir()

    with pytest.raises(InvalidMask):
        canonicalise(CanonicaliseJob(source, "mask", "case"), out)

    assert list(out.iterdir()) == []


def test_sizes_that_differ_are_both_named(described):
    with pytest.raises(GeometryMismatch, match=r"1 x 8 x 9 .* 1 x 8 x 10"):
        check_same_grid(described((1, 1, 8, 10)), described((1, 1, 8, 9)))


def test_a_flipped_affine_is_refused(described):
    with pytest.raises(GeometryMismatch, match="18 mm"):
        check_same_grid(
            described((1, 3, 8, 10), np.eye(4)),
            described((1, 3, 8, 10), np.diag([-1.0, 1, 1, 1])),
        )


@pytest.mark.parametrize("affine", [None, np.eye(4) + 1e-6])
def test_a_mask_without_or_with_nearly_the_same_affine_passes(described, affine):
    check_same_grid(described((1, 3, 8, 10), np.eye(4)), described((1, 3, 8, 10), affine))


def test_a_full_disk_has_its_own_error(tmp_path):
    with pytest.raises(StorageFull), writing(tmp_path):
        raise OSError(errno.ENOSPC, "full")


def test_other_failures_of_writing_are_left_alone(tmp_path):
    with pytest.raises(PermissionError), writing(tmp_path):
        raise PermissionError
