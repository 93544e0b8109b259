"""The compose files: hardened, without secrets, and sound to the tools that are here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
GPU = ROOT / "deploy" / "compose" / "gpu.yml"
EXAMPLE = ROOT / "deploy" / "compose" / "example.env"
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")
YAMLLINT = (
    "{extends: default, rules: {line-length: {max: 100}, document-start: disable,"
    " braces: {max-spaces-inside: 0}}}"
)


def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


@pytest.mark.parametrize("name", services())
def test_every_service_is_hardened(name: str):
    service = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service


@pytest.mark.parametrize("name", services())
def test_every_image_has_a_fixed_version(name: str):
    service = services()[name]

    assert "build" in service or service["image"].partition(":")[2] not in {"", "latest"}


def test_only_the_api_is_published_and_only_on_this_host():
    published = {name: one["ports"] for name, one in services().items() if "ports" in one}

    assert set(published) == {"api"}
    assert all(port.startswith("127.0.0.1:") for port in published["api"])


def test_everything_but_the_api_is_on_the_internal_network_alone():
    networks = {name: one["networks"] for name, one in services().items()}

    assert networks.pop("api") == ["front", "back"]
    assert set(map(tuple, networks.values())) == {("back",)}
    assert yaml.safe_load(COMPOSE.read_text())["networks"]["back"] == {"internal": True}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_has_no_default_and_must_be_given(secret: str):
    text = COMPOSE.read_text()

    assert text.count("${" + secret) == text.count("${" + secret + ":?set it in .env}") > 0


def test_the_example_names_every_secret_and_fills_in_none():
    values = dict(
        line.split("=", 1) for line in EXAMPLE.read_text().splitlines() if line[:1].isalpha()
    )

    assert {name: values[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")


def test_redis_keeps_messages_and_drops_none_for_want_of_memory():
    command = services()["redis"]["command"][-1]

    assert "--appendonly yes --appendfsync everysec" in command
    assert "--maxmemory-policy noeviction" in command


@pytest.mark.parametrize("name", ["api", "worker"])
def test_what_uses_the_database_waits_for_its_schema(name: str):
    waits = services()[name]["depends_on"]

    assert waits["migrate"] == {"condition": "service_completed_successfully"}


def test_a_worker_may_finish_its_checkpoint_before_it_is_killed():
    assert int(services()["worker"]["stop_grace_period"].removesuffix("s")) >= 60


@pytest.mark.parametrize("name", ["api", "worker", "migrate"])
def test_every_setting_in_the_environment_is_one_that_is_read(name: str):
    given = {
        variable.removeprefix("AMLP_").lower()
        for variable in services()[name]["environment"]
        if variable.startswith("AMLP_")
    }

    assert given <= set(Settings.model_fields)


@pytest.mark.parametrize("name", ["api", "worker"])
def test_temporary_files_go_to_the_volume_and_not_to_memory(name: str):
    volume = services()[name]["volumes"][0].partition(":")[2]

    assert services()[name]["environment"]["TMPDIR"] == volume


def test_the_object_store_asks_for_the_keys_that_the_service_has():
    store, api = services()["objects"], services()["api"]

    assert "-s3.config=/tmp/s3.json" in store["command"][-1]
    assert store["environment"]["S3_ACCESS_KEY"] == api["environment"]["AWS_ACCESS_KEY_ID"]
    assert store["environment"]["S3_SECRET_KEY"] == api["environment"]["AWS_SECRET_ACCESS_KEY"]


def test_gpus_go_to_those_who_compute():
    override = yaml.safe_load(GPU.read_text())["services"]

    assert set(override) == {"api", "worker"}


@pytest.mark.parametrize("path", [COMPOSE, GPU], ids=lambda path: path.name)
def test_yaml_is_tidy(path: Path):
    result = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "-d", YAMLLINT, path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("files", [[COMPOSE], [COMPOSE, GPU]], ids=["plain", "gpu"])
def test_compose_accepts_the_files(files: list[Path]):
    arguments = [part for file in files for part in ("--file", str(file))]
    given = {**os.environ, **dict.fromkeys(SECRETS, "x" * 20)}

    result = subprocess.run(
        [*compose_command(), *arguments, "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
        env=given,
    )

    assert result.returncode == 0, result.stderr


def compose_command() -> list[str]:
    plugin = ["docker", "compose"]
    if (
        shutil.which("docker")
        and not subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode
    ):
        return plugin
    if found := shutil.which("docker-compose"):
        return [found]
    pytest.skip("neither docker compose nor docker-compose is here")
