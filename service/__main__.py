"""`python -m service`: the processes of the service, one command each.

`up` runs everything on one machine; `migrate`, `key`, `api` and `worker` are for many machines, set
up by `AMLP_...` environment variables.
"""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated, get_args

import typer
import uvicorn

from service.auth.keys import DEFAULT_TENANT, create_key
from service.auth.scopes import Scope
from service.database import Database
from service.embedded import LaunchError, run_embedded
from service.migrations import upgrade
from service.queue import TRAIN_QUEUE
from service.settings import Settings

cli = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)


@cli.command()
def up(
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind; 0 picks a free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for everything.")] = None,
) -> None:
    """Run API and worker here, with all they need, until Ctrl-C."""
    given = {"host": host, "port": port, "data_dir": data_dir}
    settings = Settings.model_validate({k: v for k, v in given.items() if v is not None})
    try:
        code = run_embedded(settings, typer.echo)
    except LaunchError as error:
        typer.echo(f"error: {error}", err=True)
        code = 1
    raise typer.Exit(code)


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = Settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    upgrade(settings.resolved_database_url)


@cli.command()
def key(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[list[str], typer.Option(help="What it may do; may be given repeatedly.")],
    tenant: Annotated[str, typer.Option(help="Whose data it sees.")] = DEFAULT_TENANT,
) -> None:
    """Make an API key and write its secret, which is not shown again."""
    scopes = [_parse_scope(one) for one in scope]
    database = Database(Settings().resolved_database_url)
    with database.write() as session:
        _, secret = create_key(session, name=name, scopes=scopes, tenant_id=tenant)
    database.close()
    typer.echo(secret)


@cli.command()
def api(
    fd: Annotated[int | None, typer.Option(help="An open socket to listen on.")] = None,
) -> None:
    """Serve HTTP."""
    settings = Settings()
    config = uvicorn.Config(
        "service.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        log_config=None,  # the application sets up its own logs
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    sockets = None if fd is None else [socket.socket(fileno=fd)]
    uvicorn.Server(config).run(sockets=sockets)


@cli.command()
def worker(
    name: Annotated[str, typer.Option(help="Sets apart the workers of one host.")] = "worker",
) -> None:
    """Run jobs, one at a time."""
    options = f"--queues {TRAIN_QUEUE} --pool prefork --concurrency 1 --max-tasks-per-child 1"
    quick_start = "--without-gossip --without-mingle --without-heartbeat"
    rest = f"--hostname {name}@%h --loglevel {Settings().log_level}"
    celery = f"-m celery --quiet --app worker.app worker {options} {quick_start} {rest}"
    # exec, not import: service never imports worker
    os.execv(sys.executable, [sys.executable, *celery.split()])  # noqa: S606


def _parse_scope(text: str) -> Scope:
    for scope in get_args(Scope):
        if text == scope:
            known: Scope = scope
            return known
    raise typer.BadParameter(f"{text} is not a scope, expected one of {', '.join(get_args(Scope))}")


if __name__ == "__main__":
    cli()
