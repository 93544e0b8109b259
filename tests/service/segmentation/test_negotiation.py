"""Which form an Accept header gets."""

import pytest

from service.errors import MalformedRequest, NotAcceptable
from service.segmentation.negotiation import Output, choose_output

ALL = list(Output)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, Output.JSON),
        ("", Output.JSON),
        ("*/*", Output.JSON),
        ("application/*", Output.JSON),
        ("image/*", Output.MASK),
        ("image/png", Output.MASK),
        ("IMAGE/PNG", Output.MASK),
        ("image/png; profile=overlay", Output.OVERLAY),
        ('image/png;profile="overlay"', Output.OVERLAY),
        ("application/vnd.nifti", Output.NIFTI),
        ("application/gzip", Output.NIFTI),
        ("application/octet-stream", Output.NIFTI),
        ("application/json; charset=utf-8", Output.JSON),
        ("application/json; profile=coco-rle", Output.COCO_RLE),
        ("application/json; profile=polygons", Output.POLYGONS),
    ],
)
def test_a_media_type_names_its_form(accept: str | None, expected: Output):
    chosen = choose_output(accept, ALL)

    assert chosen is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("image/png;q=0.2, application/json;q=0.9", Output.JSON),
        ("image/png;q=0.9, application/json;q=0.2", Output.MASK),
        ("application/dicom, image/png;q=0.1", Output.MASK),
        ("*/*;q=0.1, image/png;profile=overlay", Output.OVERLAY),
        ("application/json;q=0, */*", Output.MASK),
        ("text/html,application/xhtml+xml,image/png,*/*;q=0.8", Output.MASK),
    ],
)
def test_the_highest_quality_wins(accept: str, expected: Output):
    chosen = choose_output(accept, ALL)

    assert chosen is expected


def test_a_closer_range_overrides_a_wider_one():
    chosen = choose_output("image/*, image/png;q=0.1, application/vnd.nifti;q=0.5", ALL)

    assert chosen is Output.NIFTI


def test_only_what_is_offered_is_chosen():
    chosen = choose_output("image/png, application/json;q=0.1", [Output.JSON, Output.NIFTI])

    assert chosen is Output.JSON


@pytest.mark.parametrize("accept", ["text/html", "image/png;profile=sepia", "*/*;q=0", "audio/*"])
def test_what_cannot_be_given_is_refused_with_the_list(accept: str):
    with pytest.raises(NotAcceptable) as refusal:
        choose_output(accept, ALL)

    assert refusal.value.extra["available"] == [str(output) for output in ALL]


@pytest.mark.parametrize("accept", ["png", "*/*;q=much", "*/*;q=2", "*/*;q=nan", "image/png,;q=1"])
def test_what_cannot_be_read_is_malformed(accept: str):
    with pytest.raises(MalformedRequest):
        choose_output(accept, ALL)


def test_a_flood_of_ranges_is_refused():
    with pytest.raises(MalformedRequest):
        choose_output(",".join(["image/png"] * 1000), ALL)
