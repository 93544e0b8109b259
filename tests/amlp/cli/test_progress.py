"""The listener for people."""

import io
import signal
from pathlib import Path

import pytest
from rich.console import Console

from amlp.cli.progress import TerminalListener
from amlp.events import CaseEvaluated, EpochDone, Event, Note, Picture, Started, Step

STARTED = Started(
    total_steps=10, total_epochs=2, num_images=20, num_parameters=1_500_000, device="cpu"
)
EVENTS: list[Event] = [
    STARTED,
    Step(5, 10, 0, 2, {"loss/total": 0.5}, 12.0),
    EpochDone(5, 0, {"loss/total": 0.5, "mask_ratio": 0.25}),
    Picture(5, 0, "reconstruction", Path("sheet.png")),
    CaseEvaluated(1, 2, {"dice": 0.75}),
    Note("something to know"),
]


def _shown(events: list[Event], *, terminal: bool) -> str:
    file = io.StringIO()
    listener = TerminalListener(Console(file=file, force_terminal=terminal, width=200))
    with listener.showing():
        for event in events:
            listener.on_event(event)
    return file.getvalue()


def test_a_file_gets_one_line_an_epoch() -> None:
    lines = _shown(EVENTS, terminal=False).splitlines()

    assert lines == [
        "20 images, 1.5 M parameters, 10 updates on cpu",
        "epoch 1/2  loss 0.5000  mask ratio 0.2500",
        "reconstruction: sheet.png",
        "note: something to know",
    ]


def test_a_terminal_gets_a_bar_with_loss_and_speed() -> None:
    shown = _shown(EVENTS[:2], terminal=True)

    assert "epoch 1/2" in shown
    assert "loss 0.5000  12 images/s" in shown


def test_a_run_that_continues_says_from_where() -> None:
    continued = Started(10, 2, 20, 1_000, "cpu", first_step=4)

    assert "from step 4" in _shown([continued], terminal=False)


def test_the_first_interrupt_asks_to_stop_and_the_second_insists() -> None:
    listener = TerminalListener(Console(file=io.StringIO()))

    with listener.showing():
        before = listener.should_stop()
        signal.raise_signal(signal.SIGTERM)
        after = listener.should_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    assert (before, after) == (False, True)


def test_the_former_signal_handlers_come_back() -> None:
    handler = signal.getsignal(signal.SIGINT)

    _shown([], terminal=False)

    assert signal.getsignal(signal.SIGINT) is handler
