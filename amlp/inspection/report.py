"""`inspect.json`: what a clustering makes of a data set, and what is wrong with the set."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from amlp.config import ClusteringConfig

_LABEL_SHARES = (0.05, 0.5)
_MAX_DEGENERATE = 0.1
_MAX_CENTRE_CORRELATION = 0.95
_MIN_LABEL_LIFT = 1.3


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RuleLift(_Part):
    """P(masked | lesion patch) / ratio, 1 for chance, when the highest are masked first."""

    score: float
    label: float
    centre: float = Field(description="Nearest to the centre first: the control to beat")
    random: float
    oracle: float = Field(description="The lesion first: the ceiling")


class Stability(_Part):
    """Cohen's kappa of the label and the label of the moved image, moved back."""

    flip: float
    crop: float


class NearDuplicate(_Part):
    """Two cases that show one picture."""

    first: str
    second: str
    correlation: float
    across_splits: bool


class MarkedCases(_Part):
    """Cases with something drawn over them, by kind."""

    text: tuple[str, ...]
    callipers: tuple[str, ...]
    colour: tuple[str, ...]


class Finding(_Part):
    """One thing to know before training on the data set."""

    code: str
    message: str


class InspectionReport(_Part):
    """All that was measured; what needs masks is None where no image has a lesion patch."""

    dataset_digest: str
    num_images: int
    num_with_lesion: int = Field(description="Images with a lesion patch: lift is their mean")
    image_size: int
    patch_size: int
    clustering: ClusteringConfig
    lift: dict[str, RuleLift] | None = Field(description="By masking ratio, whole images")
    lift_on_crops: dict[str, RuleLift] | None = Field(description="The same on random crops")
    recall: float | None = Field(description="Share of lesion patches that the label has")
    precision: float | None = Field(description="Share of the label's patches that are lesion")
    label_share: float
    degenerate_share: float
    valid_share: float
    centre_correlation: float | None = Field(description="None where every score is constant")
    stability: Stability
    near_duplicates: tuple[NearDuplicate, ...]
    patients_across_splits: tuple[str, ...]
    marks: MarkedCases
    findings: tuple[Finding, ...] = ()


def list_findings(report: InspectionReport) -> list[Finding]:
    """Return what should be known before training, the gravest first."""
    return [
        Finding(code=code, message=message)
        for code, message in (*_leaks(report), *_selection(report), *_marks(report))
    ]


def _leaks(report: InspectionReport) -> Iterator[tuple[str, str]]:
    across = [pair for pair in report.near_duplicates if pair.across_splits]
    if across:
        named = f"{across[0].first} and {across[0].second}"
        message = f"{len(across)} pairs of near-duplicates lie in different splits, first {named}"
        yield "data.duplicates-across-splits", message
    if within := len(report.near_duplicates) - len(across):
        yield "data.duplicates", f"{within} pairs of near-duplicates lie within one split"
    if report.patients_across_splits:
        count = len(report.patients_across_splits)
        yield "data.patients-across-splits", f"{count} patients have cases in several splits"


def _selection(report: InspectionReport) -> Iterator[tuple[str, str]]:
    low, high = _LABEL_SHARES
    if not low <= report.label_share <= high:
        share = f"{report.label_share:.0%} of the patches are taken for lesions"
        yield "selection.label-share", f"{share}, expected {low:.0%} to {high:.0%}"
    if report.degenerate_share > _MAX_DEGENERATE:
        share = f"{report.degenerate_share:.0%} of the images have no categories"
        yield "selection.degenerate", f"{share} and are masked at random"
    if (report.centre_correlation or 0) > _MAX_CENTRE_CORRELATION:
        seen = f"the score is the centre prior (correlation {report.centre_correlation:.2f})"
        yield "selection.centre", f"{seen}: the clustering adds nothing"
    if report.lift_on_crops is None:
        return
    lift = report.lift_on_crops["0.25"]
    if lift.label <= _MIN_LABEL_LIFT:
        seen = f"on crops the label masks lesions {lift.label:.2f} times as often as chance"
        yield "selection.lift", f"{seen}, expected above {_MIN_LABEL_LIFT}: mask at random instead"
    if lift.score <= lift.centre:
        seen = f"on crops the score's lift {lift.score:.2f} is not above the centre's"
        yield "selection.control", f"{seen} {lift.centre:.2f}: claim no lesion targeting here"


def _marks(report: InspectionReport) -> Iterator[tuple[str, str]]:
    for kind in MarkedCases.model_fields:
        if count := len(getattr(report.marks, kind)):
            message = f"{count} images seem to have {kind} drawn over them; look before sharing"
            yield f"data.{kind}", message
