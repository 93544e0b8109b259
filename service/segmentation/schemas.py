"""The JSON form of a segmentation."""

from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from service.schemas import Schema

Point = tuple[float, ...]
Include = Literal["coco_rle", "polygons"]


class SegmentingModel(Schema):
    """The model version that predicted."""

    id: str = Field(examples=["mdl_01J9Z3Q4M5N6P7R8S9T0V1W2X3"])
    name: str = Field(examples=["breast-lesions"])
    version: int = Field(examples=[3])
    sha256: str = Field(description="Digest of its weights")


class SegmentedInput(Schema):
    """The image as it was read."""

    format: str = Field(description="Detected from its bytes", examples=["png"])
    size: tuple[int, int] = Field(description="(height, width) in pixels", examples=[[480, 640]])
    slices: int = Field(description="1 for a picture", examples=[1])
    channels: int = Field(examples=[1])
    lossy_input: bool | None = Field(description="Whether JPEG has altered it; null: not known")


class Geometry(Schema):
    """Where the pixels lie; the label map is on the same grid."""

    spacing_mm: tuple[float, float, float] | None = Field(description="(z, y, x), if known")
    affine: list[list[float]] | None = Field(
        description="4 x 4, voxel index (x, y, z) to RAS+ mm, where the file has one"
    )


class Component(Schema):
    """One connected region of a class."""

    id: int = Field(description="1 is the largest of its class")
    bbox: list[int] = Field(
        description="x, y, width, height; in a volume x, y, z, width, height, depth",
        examples=[[120, 88, 41, 37]],
    )
    area_pixels: int = Field(description="Pixels; voxels in a volume")
    area_mm2: float | None = Field(description="Null without spacing, and in a volume")
    volume_mm3: float | None = Field(description="Null without spacing, and in a picture")
    centroid: list[float] = Field(description="x, y; in a volume x, y, z")
    mean_probability: float = Field(ge=0, le=1)
    longest_diameter_px: float = Field(description="Longest caliper diameter within a slice")
    perpendicular_diameter_px: float
    longest_diameter_mm: float | None
    perpendicular_diameter_mm: float | None


class SliceRle(Schema):
    """COCO run lengths of one slice; `pycocotools.mask.decode` reads `size` and `counts`."""

    slice: int
    size: tuple[int, int] = Field(description="(height, width)")
    counts: str
    order: Literal["column-major"] = "column-major"
    encoding: Literal["coco_rle"] = "coco_rle"


class SlicePolygon(Schema):
    """One polygon of one slice, corners as (x, y).

    The pixel in column x, row y covers [x, x + 1] x [y, y + 1]: filling `exterior` without `holes`
    gives the mask again, pixel for pixel.
    """

    slice: int
    exterior: list[tuple[int, int]]
    holes: list[list[tuple[int, int]]]


class SegmentedClass(Schema):
    """One class of the label map; with 0 pixels where none was found."""

    id: int = Field(description="Its value in the label map")
    name: str = Field(examples=["lesion"])
    pixels: int = Field(description="Pixels; voxels in a volume")
    area_mm2: float | None = Field(description="Null without spacing, and in a volume")
    volume_mm3: float | None = Field(description="Null without spacing, and in a picture")
    num_components: int
    components: list[Component] = Field(description="The largest 200")
    coco_rle: list[SliceRle] | None = Field(description="Where asked for")
    polygons: list[SlicePolygon] | None = Field(description="Where asked for")


class Timings(Schema):
    """Seconds each stage took."""

    receive: float
    decode: float
    queue: float
    forward: float = Field(description="Of the whole batch")
    encode: float


class Lineage(Schema):
    """Where the model came from."""

    job_id: str | None
    dataset_digest: str | None
    checkpoint_sha256: str


_EXAMPLE: JsonDict = {
    "segmentation_id": "seg_01J9Z3Q4M5N6P7R8S9T0V1W2X3",
    "model": {
        "id": "mdl_01J9Z3Q4M5N6P7R8S9T0V1W2X3",
        "name": "breast-lesions",
        "version": 3,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
    "input": {
        "format": "png",
        "size": [480, 640],
        "slices": 1,
        "channels": 1,
        "lossy_input": False,
    },
    "geometry": {"spacing_mm": None, "affine": None},
    "threshold": None,
    "classes": [
        {
            "id": 1,
            "name": "lesion",
            "pixels": 0,
            "area_mm2": None,
            "volume_mm3": None,
            "num_components": 0,
            "components": [],
            "coco_rle": None,
            "polygons": None,
        }
    ],
    "timings_s": {"receive": 0.001, "decode": 0.01, "queue": 0.002, "forward": 0.03, "encode": 0.0},
    "lineage": {
        "job_id": "job_01JD8QK0000000000000000000",
        "dataset_digest": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "checkpoint_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
    "warnings": [],
}


class Segmentation(Schema):
    """A segmented image."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    segmentation_id: str = Field(examples=["seg_01J9Z3Q4M5N6P7R8S9T0V1W2X3"])
    model: SegmentingModel
    input: SegmentedInput
    geometry: Geometry
    threshold: float | None = Field(description="As asked for; null: the most probable class")
    classes: list[SegmentedClass]
    timings_s: Timings
    lineage: Lineage
    warnings: list[str] = Field(description="What was assumed or changed while reading")
