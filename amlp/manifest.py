"""The manifest of a data set: its cases, their files, labels and splits (torch-free).

A data set is a folder with a `manifest.json`. Every file in it is in canonical form: 8-bit PNG for
plain pictures, NIfTI for everything else, masks as label maps. The manifest holds the sha256 of
every file; its own digest names the data set.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from amlp.errors import DataError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
MANIFEST_NAME = "manifest.json"


class Case(BaseModel):
    """One image, or one volume whose slices are samples, with its label map where there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: str = Field(min_length=1, max_length=200, description="Unique in the data set")
    patient: str = Field(min_length=1, max_length=200, description="Group that no split may cut")
    split: Split
    image: str = Field(description="File, relative to the manifest's folder")
    image_sha256: str
    mask: str | None = None
    mask_sha256: str | None = None
    num_slices: int = Field(1, ge=1, description="z of the file; 1 for a picture")
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    spacing_mm: tuple[float, float, float] | None = Field(None, description="(z, y, x), if known")
    labels: tuple[int, ...] = Field((), description="Label values above 0 found in the mask")


class Manifest(BaseModel):
    """All cases of one immutable data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    name: str
    channels: int = Field(ge=1, le=64, description="Channels of every image")
    label_names: tuple[str, ...] = Field(
        ("background", "lesion"), description="Name of each label value, from 0"
    )
    cases: tuple[Case, ...]

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """Read `manifest.json` of a data set folder.

        Raises:
            DataError: there is none, or it is not a manifest.
        """
        path = folder / MANIFEST_NAME
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise DataError(f"{folder.name} holds no {MANIFEST_NAME}") from error
        except ValidationError as error:
            raise DataError(f"{MANIFEST_NAME} is not a data set manifest: {error}") from error

    def save(self, folder: Path) -> None:
        """Write `manifest.json` into `folder`."""
        (folder / MANIFEST_NAME).write_text(self.model_dump_json(indent=1))

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digest of contents and splits; order and name do not matter."""
        values = self.model_dump(mode="json", exclude={"name"})
        values["cases"] = sorted(values["cases"], key=lambda case: case["case_id"])
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def num_classes(self) -> int:
        """Number of label values, background included."""
        return len(self.label_names)

    def of_split(self, *splits: Split, labelled: bool = False) -> tuple[Case, ...]:
        """Return the cases of the given splits, all or only those with a mask."""
        return tuple(
            case for case in self.cases if case.split in splits and (case.mask or not labelled)
        )


def assign_splits(
    patients: Iterable[str], *, fractions: Sequence[float] = (0.7, 0.1, 0.2), seed: int = 0
) -> dict[str, Split]:
    """Assign every patient to one split, by a hash order that is stable when patients are added.

    Args:
        patients: groups that no split may cut; repeats are ignored.
        fractions: shares of train, validation and test.
        seed: another seed gives another assignment.
    """
    ordered = sorted(
        set(patients), key=lambda patient: hashlib.sha256(f"{seed}:{patient}".encode()).digest()
    )
    num_train = round(fractions[0] * len(ordered))
    num_validation = round(fractions[1] * len(ordered))
    return {
        patient: SPLITS[(rank >= num_train) + (rank >= num_train + num_validation)]
        for rank, patient in enumerate(ordered)
    }
