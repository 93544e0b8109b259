"""The main job, end to end, over HTTP: images in, a segmentation served.

Starts the embedded service, uploads a data set (phantoms, or `--data DIR`), pretrains, fine-tunes,
evaluates, segments an image no job has seen, writes its overlay, stops the service.
"""

import argparse
import json
import shutil
import signal
import sys
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from amlp.phantom import generate_phantoms
from examples.client import Client
from examples.embedded import embedded_service

NETWORK = {
    "image_size": 96,
    "patch_size": 8,
    "encoder": {"embed_dim": 128, "depth": 4, "num_heads": 4},
}
PRETRAIN = {
    "preset": "amlp",
    "decoder": {"embed_dim": 96, "depth": 2, "num_heads": 4},
    "batch_size": 64,
    "optimizer": {"lr": 1.5e-3},
}
PRETRAIN_UPDATES = 240
FINETUNE = {
    "batch_size": 16,
    "optimizer": {"lr": 1e-3},
    "head": {"name": "unetr2d", "channels": 16},
}
FINETUNE_UPDATES = 320


@dataclass
class Report:
    """What the demo did: one row a step."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, step: str, seconds: float, result: str, **figures: Any) -> None:
        """Note a finished step."""
        self.rows.append({"step": step, "seconds": round(seconds, 1), "result": result, **figures})

    def table(self) -> Table:
        """Return the rows as a table."""
        table = Table(title="AMLP demo")
        for column in ("step", "seconds", "peak memory", "result"):
            table.add_column(column, justify="right" if column != "result" else "left")
        for row in self.rows:
            peak = row.get("peak_memory_bytes")
            memory = f"{peak / 2**20:.0f} MiB" if peak else ""
            table.add_row(row["step"], f"{row['seconds']:.1f}", memory, row["result"])
        return table


class Demo:
    """One run of the demo against a running service."""

    def __init__(self, client: Client, console: Console, report: Report, scale: float) -> None:
        self.client = client
        self.console = console
        self.report = report
        self.scale = scale
        self.jobs: list[str] = []
        self.num_train = 0

    def upload(self, folder: Path, scratch: Path) -> dict[str, Any]:
        """Upload a folder as one archive, freeze it, return the version."""
        started = time.monotonic()
        archive = scratch / "upload.zip"
        _pack(folder, archive)
        dataset_id = self.client.create_dataset(folder.resolve().name)
        with self.console.status("uploading and checking every image"):
            self.client.upload_archive(dataset_id, archive)
            version = self.client.freeze(dataset_id)
        archive.unlink()
        summary = version["summary"]
        self.report.add(
            "upload",
            time.monotonic() - started,
            f"{summary['cases']} images, {summary['labelled']} masks, {version['digest'][:19]}",
        )
        self.num_train = summary["splits"]["train"]
        return version

    def run(self, step: str, job: dict[str, Any]) -> dict[str, Any]:
        """Submit a job, show its progress, note its row, return it when it has succeeded."""
        started = time.monotonic()
        submitted = self.client.submit(job)
        for warning in submitted.get("warnings", []):
            self.console.print(f"[yellow]{warning}[/]")
        with _progress(self.console) as progress:
            bar = progress.add_task(step, total=1.0, loss="")
            done = self.client.watch(submitted["id"], lambda job: _show(progress, bar, job))
        self.jobs.append(done["id"])
        self.report.add(
            step,
            time.monotonic() - started,
            _describe(done),
            peak_memory_bytes=done["result"]["resources"]["peak_memory_bytes"],
            metrics=done["result"]["metrics"],
        )
        return done

    def finetune(self, step: str, version: str, init_from: str | None) -> str:
        """Fine-tune from a checkpoint or, with None, from scratch; evaluate; return the model."""
        config = NETWORK | FINETUNE | self._schedule(FINETUNE_UPDATES, FINETUNE["batch_size"], 0.1)
        tuned = self.run(
            step,
            {
                "kind": "finetune",
                "dataset_version": version,
                "init_from": init_from,
                "config": config,
                "model": step.replace(" ", "-"),
            },
        )
        model = str(tuned["result"]["model"]["id"])
        job = {"kind": "evaluate", "dataset_version": version, "model_version": model}
        self.run(step.replace("finetune", "evaluate"), job)
        return model

    def pretrain(self, version: str) -> str:
        """Pretrain an encoder and return its model version's id."""
        config = NETWORK | PRETRAIN | self._schedule(PRETRAIN_UPDATES, PRETRAIN["batch_size"], 0.05)
        job = {"kind": "pretrain", "dataset_version": version, "config": config}
        done = self.run("pretrain", job)
        return str(done["result"]["model"]["id"])

    def _schedule(self, updates: int, batch_size: int, warmup: float) -> dict[str, Any]:
        """Return epochs that come to about so many updates, whatever the data set's size."""
        an_epoch = max(1, self.num_train // batch_size)
        epochs = max(1, round(self.scale * updates / an_epoch))
        return {
            "schedule": {"epochs": epochs, "warmup_fraction": warmup},
            "checkpoint_every": max(1, epochs // 4),
        }

    def segment(self, image: Path, model: str, out: Path) -> None:
        """Segment one image and write overlay, mask and measurements."""
        started = time.monotonic()
        overlay = self.client.segment(image, model=model, accept="image/png; profile=overlay")
        answer = self.client.segment(image, model=model, accept="application/json").json()
        (out / "overlay.png").write_bytes(overlay.content)
        (out / "segmentation.json").write_text(json.dumps(answer, indent=1))
        pixels = sum(found["pixels"] for found in answer["classes"])
        self.report.add(
            "segment", time.monotonic() - started, f"{image.name}: {pixels} lesion pixels"
        )


def main() -> int:
    """Run the demo; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the service stops too
    arguments = _parse()
    console = Console()
    out: Path = arguments.out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    report = Report()
    data = arguments.data or _phantoms(out, report)
    with (
        embedded_service(out / "service") as (url, key),
        Client(url, key) as client,
    ):
        console.print(f"service ready at {url}")
        demo = Demo(client, console, report, arguments.scale)
        version = demo.upload(data, out)
        encoder = demo.pretrain(version["id"])
        if arguments.scratch:
            demo.finetune("finetune from scratch", version["id"], None)
        model = demo.finetune("finetune", version["id"], encoder)
        demo.segment(_unseen(client, version, data), model, out)
        _keep_pictures(client, demo.jobs, out)
    (out / "report.json").write_text(json.dumps(report.rows, indent=1))
    console.print(report.table())
    console.print(f"pictures: {out}/overlay.png and {out}/*.png", highlight=False)
    console.print("So short a run shows the line at work, not what pretraining gains.")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder to write")
    parser.add_argument("--data", type=Path, help="folder of images/ and masks/; default phantoms")
    parser.add_argument("--scratch", action="store_true", help="also fine-tune from scratch")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the epochs of all runs")
    return parser.parse_args()


def _phantoms(out: Path, report: Report) -> Path:
    started = time.monotonic()
    folder = generate_phantoms(out / "phantoms", 240, size=128, seed=0)
    report.add("phantoms", time.monotonic() - started, "240 images of 128 x 128 with masks")
    return folder


def _pack(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and (
                name.parts[0] in {"images", "masks"} or str(name) == "manifest.csv"
            ):
                file.write(path, name)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[loss]}"),
        console=console,
    )


def _show(progress: Progress, bar: TaskID, job: dict[str, Any]) -> None:
    state = job["progress"]
    loss = state["metrics"].get("loss/total")
    done = 1.0 if job["state"] == "SUCCEEDED" else state.get("fraction") or 0.0
    progress.update(bar, completed=done, loss="" if loss is None else f"loss {loss:.3f}")


def _describe(job: dict[str, Any]) -> str:
    metrics = job["result"]["metrics"]
    shown = {
        name: value
        for name, value in metrics.items()
        if name in {"dice", "dice/low", "dice/high", "validation/dice", "loss/total"}
    }
    steps = f"{job['progress'].get('step', 0)} steps, " if job["kind"] != "evaluate" else ""
    return steps + ", ".join(f"{name} {value:.3f}" for name, value in shown.items())


def _unseen(client: Client, version: dict[str, Any], data: Path) -> Path:
    """Return an image of the test split that holds a lesion, from the folder that was uploaded."""
    candidates = [
        item["case_id"]
        for item in client.items(version["dataset_id"], version["number"])
        if item["split"] == "test" and item["labels"]
    ]
    chosen = candidates[len(candidates) // 2]
    return next((data / "images").glob(f"{chosen}.*"))


def _keep_pictures(client: Client, jobs: list[str], out: Path) -> None:
    for job_id in jobs:
        pictures = [found for found in client.artifacts(job_id) if found["kind"] == "picture"]
        if pictures:
            newest = max(pictures, key=lambda found: found["step"])
            client.download(newest["content"], out / newest["name"])


if __name__ == "__main__":
    sys.exit(main())
