"""The command line, run in this process."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from amlp.checkpoint import list_checkpoints
from amlp.cli import main
from amlp.cli.progress import TerminalListener
from amlp.events import Event, Step

SMALL = (
    *("--image_size", 32, "--patch_size", 8, "--batch_size", 4, "--precision", "fp32"),
    *("--encoder.embed_dim", 32, "--encoder.depth", 1, "--encoder.num_heads", 2),
)
TINY = ("--decoder.embed_dim", 16, "--decoder.depth", 1, "--decoder.num_heads", 2)

Amlp = Callable[..., int]


@pytest.fixture
def amlp(monkeypatch: pytest.MonkeyPatch) -> Amlp:
    """Return a function that runs the command line and returns its exit code."""

    def run(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["amlp", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main()
        return int(exit_info.value.code or 0)

    return run


def test_the_whole_line_runs_from_the_terminal(
    amlp: Amlp, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, epochs = ("--data", tmp_path / "demo"), ("--schedule.epochs", 1)
    image = tmp_path / "demo" / "images" / "phantom_00000.png"

    codes = [
        amlp("phantom", tmp_path / "demo", "--count", 24, "--size", 48),
        amlp("pretrain", *data, "--out", tmp_path / "pre", *SMALL, *TINY, *epochs),
        amlp(
            *("finetune", *data, "--out", tmp_path / "seg", "--init", tmp_path / "pre"),
            *(*SMALL, *epochs),
        ),
        amlp("evaluate", *data, "--model", tmp_path / "seg", "--out", tmp_path / "eval"),
        amlp("predict", image, "--model", tmp_path / "seg", "--out", tmp_path / "results"),
    ]

    assert codes == [0, 0, 0, 0, 0]
    assert (tmp_path / "eval" / "evaluation.json").is_file()
    assert (tmp_path / "results" / "phantom_00000.png").is_file()
    shown = capsys.readouterr()
    assert "checkpoint: " in shown.out
    assert "epoch 1/1" in shown.err


def test_every_field_is_explained(amlp: Amlp, capsys: pytest.CaptureFixture[str]) -> None:
    assert amlp("config", "pretrain") == 0

    assert "optimizer.lr" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["pretrain", "finetune", "evaluate", "predict", "inspect", "phantom"]
)
def test_help_shows_an_example(
    command: str, amlp: Amlp, capsys: pytest.CaptureFixture[str]
) -> None:
    assert amlp(command, "--help") == 0

    assert f"Example: amlp {command}" in capsys.readouterr().out


def test_an_inspection_shows_lift_beside_its_controls(
    amlp: Amlp, phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--image_size", 64, "--patch_size", 8, "--pictures", 3, "--only", "train")
    rule = ("--masking.clustering.rule", "k_means")

    code = amlp("inspect", phantoms, "--out", tmp_path, *options, *rule)

    assert code == 0
    shown = capsys.readouterr().out
    assert "oracle" in shown
    assert (tmp_path / "inspect.json").is_file()
    assert (tmp_path / "inspect-01.png").is_file()


def test_an_inspection_of_random_masking_is_code_2(
    amlp: Amlp, phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert amlp("inspect", phantoms, "--out", tmp_path, "--preset", "mae") == 2

    assert "random has no clustering" in capsys.readouterr().err


def test_an_unknown_field_is_one_line_and_code_2(
    amlp: Amlp, phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = amlp("pretrain", "--data", phantoms, "--out", tmp_path, "--sed", "1")

    assert code == 2
    message = capsys.readouterr().err.strip()
    assert message == "config.invalid: unknown field sed; did you mean seed?"


def test_a_setting_without_value_is_code_2(amlp: Amlp, capsys: pytest.CaptureFixture[str]) -> None:
    assert amlp("pretrain", "--data", "d", "--out", "o", "--seed") == 2

    assert "--seed has no value" in capsys.readouterr().err


def test_missing_data_is_code_2(
    amlp: Amlp, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = amlp("pretrain", "--data", tmp_path / "nothing", "--out", tmp_path / "out")

    assert code == 2
    assert capsys.readouterr().err.startswith("data.")


def test_a_wrong_checkpoint_is_code_1(
    amlp: Amlp, phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = amlp("evaluate", "--data", phantoms, "--model", tmp_path, "--out", tmp_path / "out")

    assert code == 1
    assert capsys.readouterr().err.startswith("checkpoint.invalid")


def test_an_interrupt_keeps_a_checkpoint_and_the_run_goes_on_later(
    amlp: Amlp, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("pretrain", "--data", phantoms, "--out", tmp_path, *SMALL, *TINY)
    heard = TerminalListener.on_event

    def interrupt(listener: TerminalListener, event: Event) -> None:
        heard(listener, event)
        if isinstance(event, Step):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(TerminalListener, "on_event", interrupt)
        interrupted = amlp(*arguments, "--schedule.epochs", 3)
    stopped = list_checkpoints(tmp_path / "checkpoints")
    finished = amlp(*arguments, "--schedule.epochs", 3)

    assert (interrupted, len(stopped), finished) == (130, 1, 0)
    assert len(list_checkpoints(tmp_path / "checkpoints")) > 1
