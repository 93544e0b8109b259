"""Freezing: the files a data set holds now become an immutable, digested version."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from amlp.imageio.pairing import find_leaks
from amlp.manifest import SPLITS, Case, Manifest, Split, assign_splits
from service.database import new_id
from service.datasets.catalog import lock_dataset
from service.datasets.review import review
from service.datasets.tables import Dataset, DatasetFile, DatasetVersion
from service.errors import Fault, Unprocessable
from service.resources import Resources
from service.validation import joined, printable


@dataclass(frozen=True)
class SplitRule:
    """How images without a split get one; with `fractions` given all images are dealt anew."""

    fractions: tuple[float, float, float] | None = None
    seed: int = 0


@dataclass(frozen=True)
class _Pair:
    image: DatasetFile
    mask: DatasetFile | None

    @property
    def patient(self) -> str:
        return self.image.patient or self.image.stem


def freeze(
    resources: Resources,
    tenant_id: str,
    dataset_id: str,
    *,
    rule: SplitRule,
    note: str | None = None,
) -> tuple[DatasetVersion, bool]:
    """Return the version of the data set's present content, and whether it is new.

    Raises:
        NotFound: no such data set.
        Unprocessable: no image, masks without images, channels that differ, or a patient in two
            splits.
    """
    with resources.database.write() as session:
        dataset = lock_dataset(session, tenant_id, dataset_id)
        pairs = _pairs(session, dataset)
        manifest = _manifest(dataset, pairs, rule)
        known = session.scalar(
            select(DatasetVersion).where(
                DatasetVersion.dataset_id == dataset.id, DatasetVersion.digest == manifest.digest
            )
        )
        if known is not None:
            return known, False
        version = _new_version(session, dataset, manifest, note)
        version.validation = review(dataset, manifest, grey=_grey(pairs))
        # the blob first: a version whose manifest is missing must not be seen
        resources.storage.put_bytes(version.manifest_key, manifest.model_dump_json().encode())
        session.add(version)
        session.flush()
    return version, True


def _pairs(session: Session, dataset: Dataset) -> list[_Pair]:
    files = session.scalars(
        select(DatasetFile).where(DatasetFile.dataset_id == dataset.id).order_by(DatasetFile.stem)
    ).all()
    images = [file for file in files if file.role == "image"]
    masks = {file.stem: file for file in files if file.role == "mask"}
    if not images:
        raise Unprocessable("the data set holds no image", code="empty-dataset")
    orphans = sorted(masks.keys() - {image.stem for image in images})
    if orphans:
        raise Unprocessable(
            f"masks without an image ({len(orphans)}): {joined(map(printable, orphans))}",
            code="orphan-mask",
            faults=[
                Fault("/masks", f"mask '{printable(stem)}' has no image of the same name")
                for stem in orphans
            ],
        )
    return [_Pair(image, masks.get(image.stem)) for image in images]


def _manifest(dataset: Dataset, pairs: Sequence[_Pair], rule: SplitRule) -> Manifest:
    splits = _splits(pairs, rule)
    return Manifest(
        name=dataset.name,
        channels=_channels([pair.image for pair in pairs]),
        label_names=tuple(dataset.label_names),
        cases=tuple(_case(pair, splits[pair.image.stem]) for pair in pairs),
    )


def _splits(pairs: Sequence[_Pair], rule: SplitRule) -> dict[str, Split]:
    """Return the split of every stem: the manifest's where it says one, else dealt by patient."""
    given: dict[str, Split] = {
        pair.image.stem: split
        for pair in pairs
        for split in SPLITS
        if pair.image.split == split and rule.fractions is None
    }
    _refuse_leaks(pairs, given)
    fractions = rule.fractions or (0.7, 0.1, 0.2)
    of_patient: dict[str, Split] = {
        pair.patient: given[pair.image.stem] for pair in pairs if pair.image.stem in given
    }
    # images the manifest leaves out learn with the rest: they must not dilute its test set
    dealt = (
        {}
        if given
        else assign_splits((pair.patient for pair in pairs), fractions=fractions, seed=rule.seed)
    )
    return {
        pair.image.stem: of_patient.get(pair.patient) or dealt.get(pair.patient, "train")
        for pair in pairs
    }


def _refuse_leaks(pairs: Sequence[_Pair], given: dict[str, Split]) -> None:
    leaks = find_leaks(
        {pair.image.stem: (pair.patient, given.get(pair.image.stem)) for pair in pairs}
    )
    if leaks:
        raise Unprocessable(
            f"{len(leaks)} images share a patient with another split: "
            f"{joined(printable(leak.subject) for leak in leaks)}",
            code="split-leak",
            faults=[Fault("/manifest", printable(leak.message, 300)) for leak in leaks],
        )


def _channels(images: Sequence[DatasetFile]) -> int:
    """Return the channels all images are read with.

    Grey stored as colour counts as grey; grey among real colour is repeated in three channels.
    """
    if all(image.is_grey and image.channels in {1, 3} for image in images):
        return 1
    counts = Counter(image.channels for image in images)
    if counts.keys() == {1, 3}:
        return 3
    if len(counts) > 1:
        seen = ", ".join(f"{count} of {channels}" for channels, count in sorted(counts.items()))
        raise Unprocessable(
            f"images differ in their number of channels ({seen}), expected one number for all",
            code="inconsistent-geometry",
        )
    return images[0].channels


def _grey(pairs: Sequence[_Pair]) -> list[str]:
    return [pair.image.stem for pair in pairs if pair.image.is_grey]


def _case(pair: _Pair, split: Split) -> Case:
    image, mask = pair.image, pair.mask
    spacing = image.spacing_mm
    return Case(
        case_id=image.stem,
        patient=pair.patient,
        split=split,
        image=_local_path(image),
        image_sha256=image.sha256,
        mask=_local_path(mask) if mask else None,
        mask_sha256=mask.sha256 if mask else None,
        num_slices=image.num_slices,
        height=image.height,
        width=image.width,
        spacing_mm=(spacing[0], spacing[1], spacing[2]) if spacing else None,
        labels=tuple(mask.labels) if mask else (),
    )


def _local_path(file: DatasetFile) -> str:
    return f"files/{PurePosixPath(file.key).name}"


def _new_version(
    session: Session, dataset: Dataset, manifest: Manifest, note: str | None
) -> DatasetVersion:
    newest = session.scalar(
        select(func.max(DatasetVersion.number)).where(DatasetVersion.dataset_id == dataset.id)
    )
    number = (newest or 0) + 1
    return DatasetVersion(
        id=new_id("dsv"),
        dataset_id=dataset.id,
        tenant_id=dataset.tenant_id,
        number=number,
        digest=manifest.digest,
        manifest_key=f"datasets/{dataset.id}/versions/{number}/manifest.json",
        summary=summarise(manifest),
        validation=[],
        note=note,
    )


def summarise(manifest: Manifest) -> dict[str, Any]:
    """Return the counts that tell what a version can be used for."""
    labelled = [case for case in manifest.cases if case.mask]
    return {
        "cases": len(manifest.cases),
        "labelled": len(labelled),
        "slices": sum(case.num_slices for case in manifest.cases),
        "channels": manifest.channels,
        "label_names": list(manifest.label_names),
        "splits": {split: len(manifest.of_split(split)) for split in SPLITS},
        "labelled_splits": {
            split: len(manifest.of_split(split, labelled=True)) for split in SPLITS
        },
        "lesion_cases": sum(1 for case in labelled if case.labels),
        "patients": len({case.patient for case in manifest.cases}),
    }
