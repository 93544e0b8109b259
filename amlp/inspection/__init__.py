"""Looking inside a data set: what masking makes of it, and what is wrong with it."""

from amlp.inspection.duplicates import near_duplicates, patients_across_splits
from amlp.inspection.inspect_dataset import REPORT_NAME, inspect_dataset
from amlp.inspection.marks import Marks, find_marks
from amlp.inspection.report import Finding, InspectionReport, NearDuplicate, RuleLift

__all__ = [
    "REPORT_NAME",
    "Finding",
    "InspectionReport",
    "Marks",
    "NearDuplicate",
    "RuleLift",
    "find_marks",
    "inspect_dataset",
    "near_duplicates",
    "patients_across_splits",
]
