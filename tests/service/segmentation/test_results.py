"""The JSON form of a prediction."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.segmentation.results import Finished, describe, label_pixels

Make = Callable[..., Finished]


def square(shape: tuple[int, int, int] = (1, 8, 10)) -> np.ndarray:
    label_map = np.zeros(shape, np.uint8)
    label_map[0, 2:5, 3:7] = 1
    return label_map


def test_a_lesion_is_counted_and_measured(make_finished: Make):
    finished = make_finished(square(), spacing_mm=(1.0, 0.5, 0.2))

    (lesion,) = describe(finished, ()).classes

    assert (lesion.id, lesion.name, lesion.pixels, lesion.num_components) == (1, "lesion", 12, 1)
    assert lesion.area_mm2 == pytest.approx(12 * 0.5 * 0.2)
    assert lesion.components[0].bbox == [3, 2, 4, 3]
    assert lesion.components[0].mean_probability == pytest.approx(0.75)


def test_without_spacing_nothing_is_in_millimetres(make_finished: Make):
    finished = make_finished(square())

    (lesion,) = describe(finished, ()).classes

    assert lesion.area_mm2 is None
    assert lesion.components[0].longest_diameter_mm is None
    assert lesion.components[0].longest_diameter_px > 4


def test_a_volume_has_a_volume_and_no_area(make_finished: Make):
    finished = make_finished(square((3, 8, 10)), spacing_mm=(5.0, 0.5, 0.2))

    (lesion,) = describe(finished, ()).classes

    assert lesion.area_mm2 is None
    assert lesion.volume_mm3 == pytest.approx(12 * 5.0 * 0.5 * 0.2)


def test_no_lesion_is_an_answer_with_zero_pixels(make_finished: Make):
    finished = make_finished(np.zeros((1, 8, 10)))

    (lesion,) = describe(finished, ("coco_rle", "polygons")).classes

    assert (lesion.pixels, lesion.num_components, lesion.components) == (0, 0, [])
    assert lesion.polygons == []


def test_every_class_but_the_background_is_listed(make_finished: Make):
    label_map = np.zeros((1, 6, 6))
    label_map[0, 0, 0] = 2
    finished = make_finished(label_map, label_names=("background", "cyst", "tumour"))

    classes = describe(finished, ()).classes

    assert [(one.name, one.pixels) for one in classes] == [("cyst", 0), ("tumour", 1)]


def test_outlines_are_given_only_where_asked_for(make_finished: Make):
    (plain,) = describe(make_finished(square()), ()).classes
    (outlined,) = describe(make_finished(square()), ("coco_rle", "polygons")).classes

    assert plain.coco_rle is None
    assert plain.polygons is None
    assert outlined.coco_rle[0].encoding == "coco_rle"
    assert outlined.coco_rle[0].order == "column-major"
    assert len(outlined.polygons[0].exterior) == 4


def test_every_slice_of_a_volume_has_its_run_lengths(make_finished: Make):
    (lesion,) = describe(make_finished(square((3, 8, 10))), ("coco_rle",)).classes

    assert [one.slice for one in lesion.coco_rle] == [0, 1, 2]


@pytest.mark.parametrize(
    ("image_format", "expected"), [("png", False), ("jpeg", True), ("dicom", None)]
)
def test_lossy_input_is_named(make_finished: Make, image_format: str, expected: bool | None):
    finished = make_finished(square(), image_format=image_format)

    assert describe(finished, ()).input.lossy_input is expected


def test_the_answer_names_model_and_lineage(make_finished: Make):
    answer = describe(make_finished(square()), ())

    assert (answer.model.name, answer.model.version) == ("lesions", 2)
    assert answer.lineage.job_id == "job_1"
    assert answer.lineage.checkpoint_sha256 == answer.model.sha256


def test_a_low_threshold_finds_more_than_the_most_probable_class():
    probabilities = np.array([[0.7, 0.2], [0.3, 0.8]], np.float32).reshape(2, 1, 1, 2)

    found = label_pixels(probabilities, 0.25)

    np.testing.assert_array_equal(found, [[[1, 1]]])


def test_at_a_threshold_the_most_probable_foreground_class_wins():
    probabilities = np.array([0.5, 0.2, 0.3], np.float32).reshape(3, 1, 1, 1)

    found = label_pixels(probabilities, 0.3)

    assert found.item() == 2


@given(st.floats(0.01, 0.98), st.floats(0.01, 0.98))
def test_a_higher_threshold_never_finds_more(first: float, second: float):
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet((1, 1, 1), (1, 5, 5)).astype(np.float32)
    probabilities = probabilities.transpose(3, 0, 1, 2)

    low, high = (label_pixels(probabilities, one) for one in sorted((first, second)))

    assert ((high > 0) <= (low > 0)).all()
