"""The rows of the fault matrix as they were run, and the table of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import ceil

PROPERTY = "fault"


@dataclass
class Run:
    """One injected fault: what it broke, and how long each recovery took."""

    row: int
    fault: str
    database: str
    violations: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def dump(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Line:
    """All runs of one row."""

    row: int
    fault: str
    runs: int
    failed: int
    violations: int
    recovery_p50: float | None
    recovery_p99: float | None
    figures: dict[str, float]


def summarise(runs: Sequence[tuple[Run, bool]]) -> list[Line]:
    """Return one line a row; each run comes with whether its test passed."""
    lines = []
    for row in sorted({run.row for run, _ in runs}):
        own = [(run, passed) for run, passed in runs if run.row == row]
        seconds = sorted(one for run, _ in own for one in run.recoveries)
        figures: dict[str, float] = {}
        for run, _ in own:
            for name, value in run.figures.items():
                figures[name] = max(value, figures.get(name, value))
        lines.append(
            Line(
                row,
                own[0][0].fault,
                len(own),
                sum(not passed for _, passed in own),
                sum(len(run.violations) for run, _ in own),
                percentile(seconds, 50),
                percentile(seconds, 99),
                figures,
            )
        )
    return lines


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return the nearest-rank percentile of ordered values; None when there are none."""
    if not ordered:
        return None
    return round(ordered[max(0, ceil(percent / 100 * len(ordered)) - 1)], 3)


def as_table(lines: Sequence[Line]) -> str:
    """Return the table for people."""
    head = ("row", "fault", "runs", "failed", "violations", "p50 s", "p99 s", "figures (worst)")
    body = [
        (
            str(line.row),
            line.fault,
            str(line.runs),
            str(line.failed),
            str(line.violations),
            "" if line.recovery_p50 is None else f"{line.recovery_p50:.2f}",
            "" if line.recovery_p99 is None else f"{line.recovery_p99:.2f}",
            ", ".join(f"{name} {value:g}" for name, value in line.figures.items()),
        )
        for line in lines
    ]
    widths = [max(len(row[column]) for row in [head, *body]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *body]
    )
