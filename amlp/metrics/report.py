"""The report of an evaluation: every case, and their summary, as JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from amlp.config import EvaluateConfig
from amlp.metrics.overlap import confusion_counts, dice, positive_predictive_value, sensitivity
from amlp.metrics.summary import Summary, summarize
from amlp.metrics.surface import hausdorff95

Metric = Literal["dice", "sensitivity", "ppv", "hd95"]
METRICS: tuple[Metric, ...] = ("dice", "sensitivity", "ppv", "hd95")

CONVENTIONS = (
    "Per case on the image's own grid, slices of a volume stacked. Prediction and truth both "
    "empty: Dice, sensitivity and PPV are 1. Only the prediction empty: all 0. Only the truth "
    "empty: Dice and PPV are 0, sensitivity is undefined. HD95 is undefined where either is "
    "empty. Undefined values are left out of means and counted. Intervals: bootstrap over patients."
)


class CaseScores(BaseModel):
    """Scores of one case by class name; None where a metric is undefined."""

    model_config = ConfigDict(frozen=True)

    case_id: str
    patient: str
    classes: dict[str, dict[Metric, float | None]]

    def mean(self, metric: Metric) -> float:
        """Return the mean over the classes that define `metric`, NaN if none does."""
        values = [scores[metric] for scores in self.classes.values()]
        defined = [value for value in values if value is not None]
        return math.fsum(defined) / len(defined) if defined else math.nan


class EvaluationReport(BaseModel):
    """Contents of `evaluation.json`."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    checkpoint_sha256: str
    dataset_digest: str
    split: str
    confidence: float
    distance_unit: Literal["mm", "pixel"]
    conventions: str = CONVENTIONS
    mean: dict[Metric, Summary]
    classes: dict[str, dict[Metric, Summary]]
    cases: tuple[CaseScores, ...]


def score_case(
    predicted: Tensor,
    truth: Tensor,
    *,
    label_names: Sequence[str],
    spacing_mm: tuple[float, float, float] | None,
) -> dict[str, dict[Metric, float | None]]:
    """Return the scores of each foreground class of one case.

    Args:
        predicted: labels (z, y, x), uint8.
        truth: labels (z, y, x), uint8.
        label_names: of all label values, from background on.
        spacing_mm: (z, y, x); distances are in pixels if None.
    """
    counts = confusion_counts(predicted, truth, num_classes=len(label_names)).sum(0)
    overlaps = (dice(counts), sensitivity(counts), positive_predictive_value(counts))
    scores: dict[str, dict[Metric, float | None]] = {}
    for label, name in enumerate(label_names[1:], start=1):
        distance = hausdorff95(predicted == label, truth == label, spacing_mm=spacing_mm)
        values = [*(float(overlap[label - 1]) for overlap in overlaps), distance]
        scores[name] = {
            metric: None if math.isnan(value) else value
            for metric, value in zip(METRICS, values, strict=True)
        }
    return scores


def summarize_cases(
    cases: Sequence[CaseScores], config: EvaluateConfig
) -> tuple[dict[Metric, Summary], dict[str, dict[Metric, Summary]]]:
    """Return the summaries over cases of the class mean, and of each class."""
    patients = [case.patient for case in cases]

    def summary(values: list[float]) -> Summary:
        return summarize(
            values,
            patients,
            confidence=config.confidence,
            num_resamples=config.bootstrap_samples,
            seed=config.seed,
        )

    mean = {metric: summary([case.mean(metric) for case in cases]) for metric in METRICS}
    classes = {
        name: {
            metric: summary([_or_nan(case.classes[name][metric]) for case in cases])
            for metric in METRICS
        }
        for name in cases[0].classes
    }
    return mean, classes


def flat_means(
    mean: Mapping[Metric, Summary], classes: Mapping[str, Mapping[Metric, Summary]]
) -> dict[str, float]:
    """Return the defined means and interval ends by name: `dice`, `dice/low`, `dice/lesion`, ..."""
    values: dict[str, float | None] = {}
    for metric, summary in mean.items():
        values |= {metric: summary.mean, f"{metric}/low": summary.low}
        values |= {f"{metric}/high": summary.high, f"{metric}/std": summary.std}
    for name, summaries in classes.items():
        values |= {f"{metric}/{name}": summary.mean for metric, summary in summaries.items()}
    return {name: value for name, value in values.items() if value is not None}


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
