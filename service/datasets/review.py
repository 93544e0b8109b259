"""What the owner of a data set should know about a version before training on it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from amlp.manifest import SPLITS, Manifest
from service.datasets.tables import Dataset
from service.validation import joined, printable


def review(
    dataset: Dataset, manifest: Manifest, *, grey: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return warnings, each with a stable code, a message and the names of the cases.

    Args:
        dataset: what the version is of.
        manifest: the version.
        grey: names of the images without colour.
    """
    findings = [
        *_grey_among_colour(manifest, grey),
        *_duplicates(manifest),
        *_labels(dataset, manifest),
        *_splits(manifest),
    ]
    return [{"level": "warning", **finding} for finding in findings]


def _grey_among_colour(manifest: Manifest, grey: Sequence[str]) -> list[dict[str, Any]]:
    if manifest.channels != 3 or not grey:
        return []
    colour = len(manifest.cases) - len(grey)
    message = f"{colour} images have colour, so the {len(grey)} grey ones are read as colour too"
    return [{"code": "grey-among-colour", "message": message, "cases": list(grey)}]


def _duplicates(manifest: Manifest) -> list[dict[str, Any]]:
    """Find the same picture under several names; across splits it makes results look better."""
    of_content = defaultdict(list)
    for case in manifest.cases:
        of_content[case.image_sha256].append(case)
    findings = []
    for cases in of_content.values():
        splits = sorted({case.split for case in cases})
        if len(cases) > 1:
            is_leak = len(splits) > 1
            names = [case.case_id for case in cases]
            findings.append(
                {
                    "code": "duplicate-across-splits" if is_leak else "duplicate",
                    "message": f"the same image is in {' and '.join(splits)} under "
                    f"{len(cases)} names: {joined(map(printable, names))}",
                    "cases": names,
                }
            )
    return findings


def _labels(dataset: Dataset, manifest: Manifest) -> list[dict[str, Any]]:
    unlabelled = [case.case_id for case in manifest.cases if not case.mask]
    findings: list[dict[str, Any]] = []
    if dataset.kind == "segmentation" and unlabelled:
        message = f"{len(unlabelled)} images have no mask; fine-tuning will not use them"
        findings.append({"code": "unlabelled", "message": message, "cases": unlabelled})
    if len(unlabelled) < len(manifest.cases) and not any(case.labels for case in manifest.cases):
        message = "all masks are empty: there is no lesion to learn from"
        findings.append({"code": "no-lesion", "message": message, "cases": []})
    return findings


def _splits(manifest: Manifest) -> list[dict[str, Any]]:
    empty = [split for split in SPLITS if not manifest.of_split(split)]
    if not empty:
        return []
    message = f"no image is in the split {' and '.join(empty)}"
    return [{"code": "empty-split", "message": message, "cases": []}]
