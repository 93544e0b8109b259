"""`python -m service`: the commands of a distributed deployment."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.__main__ import cli
from service.auth.keys import authenticate
from service.database import Database


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AMLP_DATA_DIR", str(tmp_path / "data"))
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def test_migrate_makes_the_schema_and_key_a_key_that_works(run, tmp_path: Path):
    migrated = run("migrate")
    made = run("key", "--name", "pacs", "--scope", "predict:run", "--tenant", "clinic")

    assert (migrated.exit_code, made.exit_code) == (0, 0)
    database = Database(f"sqlite:///{tmp_path / 'data' / 'amlp.db'}")
    principal = authenticate(database, made.output.strip())
    database.close()
    assert (principal.tenant_id, principal.scopes) == ("clinic", {"predict:run"})


def test_an_unknown_scope_is_refused_with_the_list(run):
    run("migrate")

    refused = run("key", "--name", "x", "--scope", "predict:everything")

    assert refused.exit_code == 2
    assert "predict:run" in refused.output


def test_without_a_command_the_help_lists_all(run):
    shown = run()

    for command in ("up", "migrate", "key", "api", "worker"):
        assert command in shown.output
