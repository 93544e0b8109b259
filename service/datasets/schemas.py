"""Bodies of the data set routes."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from service.datasets.tables import Dataset, DatasetFile, DatasetVersion
from service.schemas import Schema, Timestamp

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]

_VERSION_EXAMPLE: JsonDict = {
    "id": "dsv_01KA8N6P9VJ3Y0X3W7M2B4D5F6",
    "dataset_id": "ds_01KA8N6P9VJ3Y0X3W7M2B4D5F6",
    "number": 1,
    "digest": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "summary": {
        "cases": 780,
        "labelled": 647,
        "slices": 780,
        "channels": 1,
        "label_names": ["background", "lesion"],
        "splits": {"train": 546, "validation": 78, "test": 156},
        "labelled_splits": {"train": 453, "validation": 65, "test": 129},
        "lesion_cases": 647,
        "patients": 780,
    },
    "num_warnings": 1,
    "note": "first reading",
    "created_at": "2026-11-22T20:44:18Z",
}


class DatasetRequest(Schema):
    """A data set to make."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "breast ultrasound", "kind": "segmentation", "modality": "US"},
                {"name": "unlabelled CT", "kind": "unlabelled", "modality": "CT"},
            ]
        }
    )

    name: Name
    kind: Literal["unlabelled", "segmentation"] = Field(
        "segmentation", description="`segmentation` where masks are expected"
    )
    modality: str | None = Field(
        None, pattern=r"^[A-Z0-9_]{1,16}$", description="DICOM Modality", examples=["US"]
    )
    label_names: list[LabelName] = Field(
        ["background", "lesion"],
        min_length=2,
        max_length=64,
        description="Name of each label value, from 0, which is the background",
    )

    @model_validator(mode="after")
    def _unique_labels(self) -> "DatasetRequest":
        if len(set(self.label_names)) < len(self.label_names):
            raise ValueError("label_names holds a name twice, expected different ones")
        return self


class DatasetView(Schema):
    """A data set."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "ds_01KA8N6P9VJ3Y0X3W7M2B4D5F6",
                    "name": "breast ultrasound",
                    "kind": "segmentation",
                    "modality": "US",
                    "label_names": ["background", "lesion"],
                    "num_images": 780,
                    "num_masks": 647,
                    "created_at": "2026-11-22T20:44:18Z",
                }
            ]
        }
    )

    id: str = Field(examples=["ds_01KA8N6P9VJ3Y0X3W7M2B4D5F6"])
    name: str
    kind: str
    modality: str | None
    label_names: list[str]
    num_images: int
    num_masks: int
    created_at: Timestamp

    @classmethod
    def of(cls, dataset: Dataset, counts: dict[tuple[str, str], int]) -> "DatasetView":
        """Return the view of a row and the numbers of its files."""
        return cls(
            id=dataset.id,
            name=dataset.name,
            kind=dataset.kind,
            modality=dataset.modality,
            label_names=dataset.label_names,
            num_images=counts.get((dataset.id, "image"), 0),
            num_masks=counts.get((dataset.id, "mask"), 0),
            created_at=dataset.created_at,  # type: ignore[arg-type]  # Timestamp takes seconds
        )


class FileView(Schema):
    """A file in canonical form."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(examples=["file_01KA8N6P9VJ3Y0X3W7M2B4D5F6"])
    role: Literal["image", "mask"]
    stem: str = Field(description="Name without suffix; pairs an image with its mask")
    sha256: str = Field(description="Of the canonical file")
    num_bytes: int
    channels: int
    num_slices: int
    height: int
    width: int
    spacing_mm: list[float] | None = Field(description="(z, y, x), if known")
    labels: list[int] = Field(description="Label values above 0 in a mask")
    split: str | None
    warnings: list[str]
    created_at: Timestamp


class UploadReport(Schema):
    """What an upload changed."""

    added: int = Field(description="Files that are new")
    unchanged: int = Field(description="Files that were there already, with the same content")
    warnings: list[str] = Field(description="What was assumed or skipped")
    files: list[FileView]


class VersionRequest(Schema):
    """How to freeze."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"note": "first reading", "seed": 0}]}
    )

    note: str | None = Field(None, max_length=1000)
    split_fractions: list[Fraction] | None = Field(
        None,
        min_length=3,
        max_length=3,
        description="Shares of train, validation and test by patient, for all images anew; "
        "default: splits of the manifest, else 0.7, 0.1, 0.2",
    )
    seed: int = Field(0, ge=0, le=2**31, description="Another seed deals the patients anew")

    @model_validator(mode="after")
    def _fractions_add_up(self) -> "VersionRequest":
        if self.split_fractions and abs(sum(self.split_fractions) - 1.0) > 1e-6:
            raise ValueError(f"split_fractions add up to {sum(self.split_fractions):g}, expected 1")
        return self


class Summary(Schema):
    """Counts that tell what a version can be used for."""

    cases: int
    labelled: int = Field(description="Cases with a mask")
    slices: int
    channels: int
    label_names: list[str]
    splits: dict[str, int]
    labelled_splits: dict[str, int]
    lesion_cases: int = Field(description="Cases whose mask is not empty")
    patients: int


class Finding(Schema):
    """Something to know about a version before it is used."""

    level: Literal["warning"]
    code: str = Field(examples=["duplicate-across-splits"])
    message: str
    cases: list[str] = Field(description="Names of the cases it is about")


class VersionView(Schema):
    """A frozen, immutable version."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VERSION_EXAMPLE]})

    id: str
    dataset_id: str
    number: int
    digest: str
    summary: Summary
    num_warnings: int
    note: str | None
    created_at: Timestamp

    @classmethod
    def of(cls, version: DatasetVersion) -> "VersionView":
        """Return the view of a row."""
        return cls(
            id=version.id,
            dataset_id=version.dataset_id,
            number=version.number,
            digest=version.digest,
            summary=Summary.model_validate(version.summary),
            num_warnings=len(version.validation),
            note=version.note,
            created_at=version.created_at,  # type: ignore[arg-type]  # Timestamp takes seconds
        )


class ValidationReport(Schema):
    """Findings about a version; none of them stops a job that can run."""

    findings: list[Finding]


class ContentView(Schema):
    """Where the content of a case's file is."""

    sha256: str
    url: str
    thumbnail_url: str | None


class ItemView(Schema):
    """One case of a version."""

    case_id: str
    split: Literal["train", "validation", "test"]
    num_slices: int
    height: int
    width: int
    labels: list[int]
    image: ContentView
    mask: ContentView | None


def file_views(files: list[DatasetFile]) -> list[FileView]:
    """Return the views of rows."""
    return [FileView.model_validate(file) for file in files]
