"""A listener for people: progress bars on a terminal, one line an epoch elsewhere."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from amlp.events import (
    CaseEvaluated,
    CheckpointWritten,
    EpochDone,
    Event,
    Note,
    Picture,
    Started,
    Step,
)

_SHOWN = {
    "loss/total": "loss",
    "mask_ratio": "mask ratio",
    "validation/dice": "validation Dice",
    "dice": "Dice",
}


class TerminalListener:
    """Draws a run's events; asks it to stop after the first interrupt."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stopped = False
        self._bar: TaskID | None = None
        self._num_epochs = 0
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[values]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def on_event(self, event: Event) -> None:
        """Show `event`."""
        match event:
            case Started():
                self._start(event)
            case Step():
                values = _shown(event.values) + f"  {event.images_per_second:.0f} images/s"
                epoch = f"epoch {event.epoch + 1}/{event.total_epochs}"
                self._advance(epoch, event.step, event.total_steps, values)
            case EpochDone() if not self._console.is_terminal:
                epoch = f"epoch {event.epoch + 1}/{self._num_epochs}"
                self._console.print(f"{epoch}  {_shown(event.values)}", highlight=False)
            case EpochDone() | CheckpointWritten():
                pass  # the bar says as much
            case CaseEvaluated():
                self._advance("cases", event.done, event.total, _shown(event.values))
            case Picture():
                self._console.print(f"[dim]{event.kind}: {event.path}[/dim]", soft_wrap=True)
            case Note():
                self._console.print(f"[yellow]note:[/yellow] {event.message}", highlight=False)

    def should_stop(self) -> bool:
        """Whether an interrupt has come."""
        return self._stopped

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the bars, and turn the first SIGINT or SIGTERM into a stop with a checkpoint."""
        before = {name: signal.signal(name, self._stop) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            with self._progress:
                yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopped:
            raise KeyboardInterrupt
        self._stopped = True
        self._console.print("stopping after this update; once more to stop at once")

    def _start(self, event: Started) -> None:
        self._num_epochs = event.total_epochs
        continued = f", from step {event.first_step}" if event.first_step else ""
        self._console.print(
            f"{event.num_images} images, {event.num_parameters / 1e6:.1f} M parameters, "
            f"{event.total_steps} updates on {event.device}{continued}",
            highlight=False,
        )

    def _advance(self, what: str, done: int, total: int, values: str) -> None:
        if self._bar is None:
            self._bar = self._progress.add_task(what, values="")
        self._progress.update(
            self._bar, description=what, completed=done, total=total, values=values
        )


def _shown(values: Mapping[str, float]) -> str:
    return "  ".join(f"{_SHOWN[name]} {values[name]:.4f}" for name in _SHOWN if name in values)
