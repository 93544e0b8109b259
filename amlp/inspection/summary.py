"""From observations to the report."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from amlp.config import ClusteringConfig
from amlp.inspection.duplicates import near_duplicates, patients_across_splits
from amlp.inspection.gathering import Gathering
from amlp.inspection.marks import Marks
from amlp.inspection.report import (
    InspectionReport,
    MarkedCases,
    NearDuplicate,
    RuleLift,
    Stability,
    list_findings,
)
from amlp.inspection.selection import RATIOS, RULES, Observation
from amlp.inspection.stability import kappa
from amlp.manifest import Case


def summarize(
    gathered: Gathering,
    cases: Sequence[Case],
    *,
    clustering: ClusteringConfig,
    dataset_digest: str,
) -> InspectionReport:
    """Return the report of what was gathered over `cases`, findings included."""
    whole, crops = _joined(gathered.whole), _joined(gathered.crops)
    found, lesion, label = whole.overlap.sum(0).tolist()
    correlated = whole.centre_correlation[whole.centre_correlation.isfinite()]
    report = InspectionReport(
        dataset_digest=dataset_digest,
        num_images=len(whole.degenerate),
        num_with_lesion=int((whole.overlap[:, 1] > 0).sum()),
        image_size=gathered.config.image_size,
        patch_size=gathered.config.patch_size,
        clustering=clustering,
        lift=_mean_lift(whole.lift),
        lift_on_crops=_mean_lift(crops.lift),
        recall=found / lesion if lesion else None,
        precision=found / label if label else None,
        label_share=float(whole.label_share.mean()),
        degenerate_share=float(whole.degenerate.float().mean()),
        valid_share=float(whole.valid_share.mean()),
        centre_correlation=float(correlated.mean()) if len(correlated) else None,
        stability=Stability(flip=kappa(gathered.flip), crop=kappa(gathered.crop)),
        near_duplicates=_near_duplicates(gathered, cases),
        patients_across_splits=tuple(patients_across_splits(cases)),
        marks=_marked_cases(gathered.marks, cases),
    )
    return report.model_copy(update={"findings": tuple(list_findings(report))})


def _joined(observations: Sequence[Observation]) -> Observation:
    return Observation(*(torch.cat(values) for values in zip(*observations, strict=True)))


def _mean_lift(lift: Tensor) -> dict[str, RuleLift] | None:
    """Return the mean of (b, ratios, rules) over the images that have lesion patches."""
    mean = lift.nanmean(0)
    if mean.isnan().any():
        return None
    return {
        str(ratio): RuleLift(**dict(zip(RULES, row, strict=True)))
        for ratio, row in zip(RATIOS, mean.tolist(), strict=True)
    }


def _near_duplicates(gathered: Gathering, cases: Sequence[Case]) -> tuple[NearDuplicate, ...]:
    pairs = [
        NearDuplicate(
            first=cases[pair.first].case_id,
            second=cases[pair.second].case_id,
            correlation=round(pair.correlation, 4),
            across_splits=cases[pair.first].split != cases[pair.second].split,
        )
        for pair in near_duplicates(np.stack(gathered.thumbnails))
    ]
    return tuple(sorted(pairs, key=lambda pair: (not pair.across_splits, -pair.correlation)))


def _marked_cases(marks: Sequence[Marks], cases: Sequence[Case]) -> MarkedCases:
    marked = {
        kind: tuple(
            case.case_id for case, seen in zip(cases, marks, strict=True) if getattr(seen, kind)
        )
        for kind in Marks._fields
    }
    return MarkedCases(**marked)
