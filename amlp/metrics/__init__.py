"""Segmentation metrics per case and their summary (conventions in docs/method.md)."""

from amlp.metrics.overlap import (
    confusion_counts,
    dice,
    positive_predictive_value,
    sensitivity,
)
from amlp.metrics.report import (
    METRICS,
    CaseScores,
    EvaluationReport,
    flat_means,
    score_case,
    summarize_cases,
)
from amlp.metrics.summary import Summary, summarize
from amlp.metrics.surface import hausdorff95

__all__ = [
    "METRICS",
    "CaseScores",
    "EvaluationReport",
    "Summary",
    "confusion_counts",
    "dice",
    "flat_means",
    "hausdorff95",
    "positive_predictive_value",
    "score_case",
    "sensitivity",
    "summarize",
    "summarize_cases",
]
