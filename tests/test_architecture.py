"""The shape of the code base: import rules, the torch-free API, sizes, names."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent
PACKAGES = ("amlp", "service", "worker")
DRAWERS = {"utils", "helpers", "common", "misc", "core", "base", "manager"}


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_imports_follow_the_rules() -> None:
    assert lint_imports(config_filename=str(ROOT / ".importlinter")) == 0


@pytest.mark.parametrize("module", ["service.app", "worker.app", "worker.supervisor"])
def test_the_process_that_serves_or_supervises_loads_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'monai' in sys.modules)"

    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)

    assert finished.returncode == 0


def test_no_module_is_longer_than_300_lines() -> None:
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in modules()
        if (lines := path.read_text().count("\n")) > 300
    }

    assert too_long == {}


def test_the_median_module_is_short() -> None:
    lengths = [path.read_text().count("\n") for path in modules()]

    assert median(length for length in lengths if length >= 3) <= 120


def test_no_function_is_longer_than_60_lines_and_nearly_all_fit_in_40() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}:{node.name}": length(node)
        for path in modules()
        for node in functions(path)
    }

    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}
    assert sum(lines <= 40 for lines in lengths.values()) >= 0.97 * len(lengths)


def test_no_module_is_a_drawer() -> None:
    assert [path for path in modules() if path.stem in DRAWERS] == []


def test_public_functions_and_classes_say_what_they_are() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in modules()
        if "migrations" not in path.parts
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]

    assert silent == []


def test_exported_names_are_sorted_and_exist() -> None:
    faults = []
    for path in modules():
        names = _exported(path)
        if names and names != _in_house_order(names):
            faults.append(str(path.relative_to(ROOT)))

    assert faults == []


def _exported(path: Path) -> list[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [str(value) for value in ast.literal_eval(node.value)]
    return []


def _in_house_order(names: list[str]) -> list[str]:
    """Constants, then classes, then functions: the order ruff keeps."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
