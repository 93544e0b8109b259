"""The command line: `amlp pretrain | finetune | evaluate | predict | inspect | ...`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from amlp.cli.arguments import read_run_config, settings_as_options
from amlp.cli.fields import list_fields
from amlp.cli.inspection import show_inspection
from amlp.cli.progress import TerminalListener
from amlp.config import Config, EvaluateConfig, FinetuneConfig, PretrainConfig
from amlp.engine import RunResult
from amlp.errors import AmlpError, Cancelled, ConfigError, DataError
from amlp.evaluate import evaluate
from amlp.finetune import finetune
from amlp.inspection import REPORT_NAME, inspect_dataset
from amlp.manifest import Split
from amlp.phantom import generate_phantoms
from amlp.predict import predict
from amlp.pretrain import pretrain

_EXIT_FAILED = 1
_EXIT_WRONG_INPUT = 2
_EXIT_INTERRUPTED = 130


class RunKind(StrEnum):
    """Runs that take a config."""

    PRETRAIN = "pretrain"
    FINETUNE = "finetune"
    EVALUATE = "evaluate"


_CONFIGS: dict[RunKind, type[Config]] = {
    RunKind.PRETRAIN: PretrainConfig,
    RunKind.FINETUNE: FinetuneConfig,
    RunKind.EVALUATE: EvaluateConfig,
}
_WITH_SETTINGS = (*RunKind, "inspect")
_OPTIONS = ("--data", "--out", "--init", "--model", "--set", "--pictures", "--only", "--help")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="From unlabelled medical images to a segmenter, by masked image modelling (AMLP).",
)
_messages = Console(stderr=True)

File = Annotated[
    Path | None, typer.Argument(metavar="RUN.yaml", help="Config file; flags are laid over it")
]
Data = Annotated[
    Path, typer.Option(help="Folder with manifest.json, or with images/ and, if labelled, masks/")
]
Out = Annotated[Path, typer.Option(help="Folder of the run; a stopped run continues in it")]
Model = Annotated[Path, typer.Option(help="A segmenter's checkpoint, or its run's folder")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="A config field; --FIELD VALUE says the same"
    ),
]


@app.command("pretrain")
def pretrain_command(data: Data, out: Out, file: File = None, settings: Settings = None) -> None:
    """Pretrain an encoder on unlabelled images.

    All fields: `amlp config pretrain`.

    Example: `amlp pretrain --data images --out runs/pre --encoder vit_tiny --schedule.epochs 200`

    Plain MAE, for comparison: `amlp pretrain --data images --out runs/mae --preset mae`
    """
    with _running() as listener:
        config = read_run_config(PretrainConfig, file, settings or [])
        _show(pretrain(config, data, out, listener))


@app.command("finetune")
def finetune_command(
    data: Data,
    out: Out,
    file: File = None,
    settings: Settings = None,
    init: Annotated[
        Path | None, typer.Option(help="Pretrained checkpoint or run folder; none: from scratch")
    ] = None,
) -> None:
    """Train a segmenter on labelled images.

    All fields: `amlp config finetune`.

    Example: `amlp finetune --data labelled --out runs/seg --init runs/pre --schedule.epochs 50`
    """
    with _running() as listener:
        config = read_run_config(FinetuneConfig, file, settings or [])
        _show(finetune(config, data, out, listener, init=init))


@app.command("evaluate")
def evaluate_command(
    data: Data, model: Model, out: Out, file: File = None, settings: Settings = None
) -> None:
    """Measure Dice, sensitivity, PPV and HD95 on one split, with bootstrap intervals.

    All fields: `amlp config evaluate`.

    Example: `amlp evaluate --data labelled --model runs/seg --out runs/eval --split test`
    """
    with _running() as listener:
        config = read_run_config(EvaluateConfig, file, settings or [])
        _show(evaluate(config, data, model, out, listener))


@app.command("predict")
def predict_command(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG, TIFF, BMP, DICOM or NIfTI")],
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder of label maps and overlays")],
) -> None:
    """Segment image files.

    Example: `amlp predict scan.dcm photo.png --model runs/seg --out results`
    """
    with _running() as listener:
        _show(predict(model, images, out, listener))


@app.command("inspect")
def inspect_command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder, as for `--data`")],
    out: Annotated[Path, typer.Option(help="Folder of inspect.json and the pages")],
    settings: Settings = None,
    only: Annotated[Split | None, typer.Option(help="One split; default: all")] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Images on the pages")] = 24,
) -> None:
    """See what masking makes of a data set, and what is wrong with the set.

    Takes the fields of `amlp config pretrain`; image_size, patch_size, masking and seed matter.

    Example: `amlp inspect images --out inspection`

    The control: `amlp inspect images --out centre --masking.clustering.rule centre`
    """
    with _running() as listener:
        config = read_run_config(PretrainConfig, None, settings or [])
        report = inspect_dataset(config, data, out, listener, split=only, num_pictures=pictures)
        show_inspection(report, Console())
        _say_where("report", out / REPORT_NAME)


@app.command("config")
def config_command(
    run: Annotated[RunKind, typer.Argument(help="Which run's config")],
) -> None:
    """Print every field of a run's config: values, default and meaning."""
    table = Table(title=f"{run.value}: write in YAML, or as --FIELD VALUE", title_justify="left")
    for heading in ("field", "values", "default", "meaning"):
        table.add_column(heading, overflow="fold")
    for field in list_fields(_CONFIGS[run]):
        meaning = f"{field.description} ({field.variant})" if field.variant else field.description
        table.add_row(field.path, field.values, field.default, meaning)
    Console().print(table, markup=False)


@app.command("phantom")
def phantom_command(
    out: Annotated[Path, typer.Argument(help="Folder to write")],
    count: Annotated[int, typer.Option(help="Number of images")] = 200,
    size: Annotated[int, typer.Option(help="Height and width, pixels")] = 128,
    seed: Annotated[int, typer.Option(help="Another seed gives other patients")] = 0,
    labelled_fraction: Annotated[
        float, typer.Option(help="Share of the training patients with masks")
    ] = 1.0,
) -> None:
    """Write ultrasound-like pictures with lesions and masks, to try the line on.

    Example: `amlp phantom demo --count 200 --size 128 --seed 0`
    """
    with _reported_errors():
        written = generate_phantoms(
            out, count, size=size, seed=seed, labelled_fraction=labelled_fraction
        )
        Console().print(f"{count} phantoms in {written}", highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in _WITH_SETTINGS:
        try:
            arguments = settings_as_options(arguments, _OPTIONS)
        except ConfigError as error:
            _complain(error)
            sys.exit(_EXIT_WRONG_INPUT)
    app(arguments)


@contextmanager
def _running() -> Iterator[TerminalListener]:
    listener = TerminalListener(_messages)
    with _reported_errors(), listener.showing():
        yield listener


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Turn the library's errors into one line and an exit code."""
    try:
        yield
    except Cancelled as error:
        _complain(error)
        raise typer.Exit(_EXIT_INTERRUPTED) from error
    except (ConfigError, DataError) as error:
        _complain(error)
        raise typer.Exit(_EXIT_WRONG_INPUT) from error
    except AmlpError as error:
        _complain(error)
        raise typer.Exit(_EXIT_FAILED) from error


def _complain(error: AmlpError) -> None:
    _messages.print(f"{error.code}: {error}", style="red", markup=False, soft_wrap=True)


def _show(result: RunResult) -> None:
    console = Console()
    if result.metrics:
        table = Table("metric", "value")
        for name, value in sorted(result.metrics.items()):
            table.add_row(name, f"{value:.4f}")
        console.print(table)
    paths = dict(result.files) | ({"checkpoint": result.checkpoint} if result.checkpoint else {})
    for name, path in paths.items():
        _say_where(name, path)


def _say_where(name: str, path: Path) -> None:
    Console().print(f"{name}: {path}", highlight=False, markup=False, soft_wrap=True)
