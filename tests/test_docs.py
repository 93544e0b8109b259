"""What the documentation says is true: its commands run, what it names exists."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from amlp.phantom import generate_phantoms
from service.errors import ServiceError
from service.settings import Settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
BIN = Path(sys.executable).parent
SECONDS = 240.0
TINY: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 8,
    "encoder": {"embed_dim": 24, "depth": 1, "num_heads": 2},
    "schedule": {"epochs": 1},
    "precision": "fp32",
}


def shell_blocks() -> list[str]:
    """Return the README's blocks of commands, as a reader copies them."""
    return re.findall(r"^```sh\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


def the_block(sign: str) -> str:
    """Return the one block that holds `sign`."""
    (found,) = (block for block in shell_blocks() if sign in block)
    return found


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AMLP_")}
    return {**kept, "OMP_NUM_THREADS": "1", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def run_in_shell(script: str, folder: Path) -> str:
    """Run a script as a reader would and return what it says."""
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def embedded_service(folder: Path) -> Iterator[str]:
    """Run the service as `make up` does, with its data in `folder`; yield its URL."""
    log = folder / "up.log"
    command = [sys.executable, "-m", "service", "up", "--port", "0", "--data-dir", folder / "data"]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not (ready := re.search(r"^ready (\S+)$", log.read_text(), re.MULTILINE)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield ready.group(1)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)


def finish(api: httpx.Client, job_id: str) -> dict[str, Any]:
    """Wait until the job has ended and return it."""
    deadline = time.monotonic() + SECONDS
    while True:
        job: dict[str, Any] = api.get(f"/v1/jobs/{job_id}").json()
        if job["state"] in {"SUCCEEDED", "FAILED", "CANCELLED"}:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.5)


def cancel_all(api: httpx.Client) -> None:
    for job in api.get("/v1/jobs").json()["items"]:
        if job["state"] in {"QUEUED", "RUNNING"}:
            api.post(f"/v1/jobs/{job['id']}/cancel")
            finish(api, job["id"])


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's commands use curl")
def test_commands_for_the_service_lead_from_images_to_an_overlay(tmp_path: Path) -> None:
    generate_phantoms(tmp_path / "set", 12, size=32)
    shutil.make_archive(str(tmp_path / "images-and-masks"), "zip", tmp_path / "set")
    shutil.copy(next((tmp_path / "set" / "images").iterdir()), tmp_path / "image.png")
    with embedded_service(tmp_path) as url:
        key = (tmp_path / "data" / "admin.key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        submit = the_block('"kind": "pretrain"').replace("http://127.0.0.1:8000", url)
        segment = the_block("/v1/segment")

        with httpx.Client(base_url=url, headers=headers, timeout=60) as api:
            told = run_in_shell(f"{submit}\necho; echo data set $DATASET", tmp_path)
            dataset = told.split()[-1]
            cancel_all(api)
            for kind in ("pretrain", "finetune"):
                body = {"kind": kind, "dataset": dataset, "config": TINY}
                job = finish(api, api.post("/v1/jobs", json=body).json()["id"])
                assert job["state"] == "SUCCEEDED", job
            preamble = submit.partition("\n\n")[0]
            told += run_in_shell(f"{preamble}\nDATASET={dataset}\n{segment}", tmp_path)
            cancel_all(api)

    assert "/problems/" not in told
    assert (tmp_path / "overlay.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.integration
@pytest.mark.slow
def test_commands_of_the_library_lead_from_phantoms_to_predictions(tmp_path: Path) -> None:
    run_in_shell(the_block("amlp pretrain"), tmp_path)

    assert (tmp_path / "runs" / "evaluation" / "evaluation.json").is_file()
    assert any((tmp_path / "predictions").glob("*-overlay.png"))


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.M)
    }

    assert {"demo", "test", "up"} <= named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())

    local = [link for link in links if "://" not in link]

    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_of_the_tree_that_is_named_exists(page: Path) -> None:
    pattern = r"`((?:amlp|service|worker|deploy|tests|examples|benchmarks)/[\w./-]+)`"

    named = re.findall(pattern, page.read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_setting_that_is_named_exists() -> None:
    known = {f"AMLP_{name.upper()}" for name in Settings.model_fields}

    named = {name for page in PAGES for name in re.findall(r"\bAMLP_[A-Z_]+\b", page.read_text())}

    assert named - known == set()


def test_every_function_and_file_of_the_method_exists() -> None:
    sources = sorted((ROOT / "amlp").rglob("*.py"))
    code = "\n".join(path.read_text() for path in sources)
    text = (ROOT / "docs" / "method.md").read_text()

    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text))
    modules = {Path(name).name for name in re.findall(r"`([\w/]+\.py)`", text)}

    # a function, a field or a value of the config
    known = {
        name for name in names if re.search(rf'def {name}\(|^    {name}:|"{name}"', code, re.M)
    }
    assert len(names) > 10
    assert names - known == set()
    assert modules - {path.name for path in sources} == set()


def raised_codes(path: Path) -> set[str]:
    """Return the codes that a module gives to the errors it raises."""
    return {
        leaf.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "code"
        for leaf in ast.walk(node.value)
        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
    }


def test_every_problem_code_is_explained() -> None:
    explained = set(re.findall(r"`([a-z-]+)`", (ROOT / "docs" / "api.md").read_text()))

    codes = {one.default_code for one in ServiceError.__subclasses__()}
    codes |= {code for path in (ROOT / "service").rglob("*.py") for code in raised_codes(path)}

    assert codes - explained == set()


def test_readme_stays_short() -> None:
    assert len(README.read_text().splitlines()) <= 150
