"""Bytes of the forms, read back by independent readers."""

import gzip
import json
from collections.abc import Callable
from io import BytesIO

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from service.segmentation.encoding import Encoded, encode
from service.segmentation.negotiation import Output
from service.segmentation.results import Finished

Make = Callable[..., Finished]


def labels(shape: tuple[int, int, int] = (1, 9, 7)) -> np.ndarray:
    label_map = np.random.default_rng(0).integers(0, 2, shape).astype(np.uint8)
    label_map[..., 0] = 0
    return label_map


def give(finished: Finished, output: Output, slice_index: int = 0) -> Encoded:
    return encode(finished, output, slice_index=slice_index, include=())


def load_nifti(encoded: Encoded) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(encoded.body))


def test_a_mask_holds_the_label_values(make_finished: Make):
    finished = make_finished(labels())

    picture = Image.open(BytesIO(give(finished, Output.MASK).body))

    assert picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(picture), finished.label_map[0])


def test_a_mask_of_a_volume_is_the_slice_asked_for(make_finished: Make):
    finished = make_finished(labels((3, 9, 7)))

    picture = Image.open(BytesIO(give(finished, Output.MASK, 2).body))

    np.testing.assert_array_equal(np.asarray(picture), finished.label_map[2])


def test_an_overlay_changes_the_picture_only_where_labels_are(make_finished: Make):
    finished = make_finished(labels())

    picture = np.asarray(Image.open(BytesIO(give(finished, Output.OVERLAY).body)))

    changed = (picture != 100).any(axis=-1)
    np.testing.assert_array_equal(changed, finished.label_map[0] > 0)


def test_nifti_lies_on_the_grid_of_the_image(make_finished: Make):
    affine = np.array([[0, -0.7, 0, 5], [0.6, 0, 0.1, -9], [0.1, 0, 3.0, 2], [0, 0, 0, 1.0]])
    finished = make_finished(labels((4, 9, 7)), affine=affine, spacing_mm=(3.0, 0.7, 0.6))

    image = load_nifti(give(finished, Output.NIFTI))

    np.testing.assert_allclose(image.affine, affine, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(image.dataobj), finished.label_map.transpose(2, 1, 0))
    assert image.header["sform_code"] == 1
    assert image.get_data_dtype() == np.uint8


def test_nifti_of_a_picture_keeps_its_spacing(make_finished: Make):
    finished = make_finished(labels(), spacing_mm=(1.0, 0.25, 0.5))

    image = load_nifti(give(finished, Output.NIFTI))

    assert image.header.get_zooms() == pytest.approx((0.5, 0.25, 1.0))


def test_the_same_prediction_gives_the_same_nifti_bytes(make_finished: Make):
    first, second = (give(make_finished(labels()), Output.NIFTI).body for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("output", "member"), [(Output.COCO_RLE, "coco_rle"), (Output.POLYGONS, "polygons")]
)
def test_a_profile_adds_its_member(make_finished: Make, output: Output, member: str):
    encoded = give(make_finished(labels()), output)

    (lesion,) = json.loads(encoded.body)["classes"]
    assert lesion[member]
    assert encoded.media_type == str(output)


def test_json_tells_how_long_it_took_to_make(make_finished: Make):
    answer = json.loads(give(make_finished(labels()), Output.JSON).body)

    assert answer["timings_s"]["encode"] > 0
