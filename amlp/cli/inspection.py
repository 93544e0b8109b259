"""An inspection's report as tables."""

from rich.console import Console
from rich.table import Table

from amlp.inspection import InspectionReport, RuleLift


def show_inspection(report: InspectionReport, console: Console) -> None:
    """Print lift beside the controls, what was measured, and the findings."""
    if report.lift and report.lift_on_crops:
        console.print(_lift_table({"whole": report.lift, "crops": report.lift_on_crops}))
    table = Table("measured", "value")
    for name, value in _measures(report).items():
        table.add_row(name, value)
    console.print(table)
    for finding in report.findings:
        console.print(f"{finding.code}: {finding.message}", markup=False, soft_wrap=True)


def _lift_table(lifts: dict[str, dict[str, RuleLift]]) -> Table:
    title = "lift: how often lesion patches are masked, 1 is chance"
    table = Table("images", "ratio", *RuleLift.model_fields, title=title, title_justify="left")
    for images, by_ratio in lifts.items():
        for ratio, lift in by_ratio.items():
            values = [f"{value:.2f}" for value in lift.model_dump().values()]
            table.add_row(images, ratio, *values)
    return table


def _measures(report: InspectionReport) -> dict[str, str]:
    marks = report.marks
    return {
        "images": f"{report.num_images}, {report.num_with_lesion} with a lesion patch",
        "label: recall, precision": f"{_number(report.recall)}, {_number(report.precision)}",
        "label: share of patches": _number(report.label_share),
        "images without categories": _number(report.degenerate_share),
        "patches in the field of view": _number(report.valid_share),
        "score's correlation with the centre": _number(report.centre_correlation),
        "label's kappa: mirrored, cropped": (
            f"{_number(report.stability.flip)}, {_number(report.stability.crop)}"
        ),
        "near-duplicates": f"{len(report.near_duplicates)} pairs",
        "patients across splits": str(len(report.patients_across_splits)),
        "text, callipers, colour": (
            f"{len(marks.text)}, {len(marks.callipers)}, {len(marks.colour)} images"
        ),
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
