"""Canonical files and their pairing become a manifest."""

from collections.abc import Mapping, Sequence

from amlp.errors import DataError, EmptyDataset
from amlp.imageio.canonicalise import CanonicaliseResult
from amlp.imageio.pairing import Issue, PairedCase, find_leaks
from amlp.manifest import Case, Manifest, Split, assign_splits

Pair = tuple[CanonicaliseResult, CanonicaliseResult | None]


def assemble_manifest(
    cases: Sequence[PairedCase], pairs: Mapping[str, Pair], *, name: str
) -> tuple[Manifest, list[Issue]]:
    """Return the manifest of canonical files that lie in `images/` and `masks/`.

    Args:
        cases: what belongs together.
        pairs: canonical image and mask of each stem; stems without one are left out.
        name: name of the data set.

    Raises:
        EmptyDataset: no case is left.
        DataError: the images differ in their channels.
    """
    cases = [case for case in cases if case.stem in pairs]
    patients = {case.stem: case.group or pairs[case.stem][0].patient or case.stem for case in cases}
    leaks = find_leaks({case.stem: (patients[case.stem], case.split) for case in cases})
    leaking = {issue.subject for issue in leaks}
    cases = [case for case in cases if case.stem not in leaking]
    if not cases:
        raise EmptyDataset(f"data set {name} has no usable case, expected one or more")
    channels = {pairs[case.stem][0].channels for case in cases}
    if len(channels) > 1:
        raise DataError(f"images have {sorted(channels)} channels, expected one number for all")
    assigned = assign_splits(patients[case.stem] for case in cases)
    top = max((max(mask.labels, default=0) for _, mask in pairs.values() if mask), default=1)
    label_names = ("lesion",) if top <= 1 else tuple(f"label_{k}" for k in range(1, top + 1))
    manifest = Manifest(
        name=name,
        channels=channels.pop(),
        label_names=("background", *label_names),
        cases=tuple(
            _case(case.stem, patient, case.split or assigned[patient], *pairs[case.stem])
            for case, patient in ((case, patients[case.stem]) for case in cases)
        ),
    )
    return manifest, leaks


def _case(
    stem: str,
    patient: str,
    split: Split,
    image: CanonicaliseResult,
    mask: CanonicaliseResult | None,
) -> Case:
    return Case(
        case_id=stem,
        patient=patient,
        split=split,
        image=f"images/{image.file}",
        image_sha256=image.sha256,
        mask=f"masks/{mask.file}" if mask else None,
        mask_sha256=mask.sha256 if mask else None,
        num_slices=image.num_slices,
        height=image.height,
        width=image.width,
        spacing_mm=image.spacing_mm,
        labels=mask.labels if mask else (),
    )
