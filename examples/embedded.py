"""Start the embedded service as a child process, and stop it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 120
STOP_SECONDS = 60


class ServiceDidNotStart(Exception):
    """The service ended or stayed silent; its log tells why."""


@contextmanager
def embedded_service(data_dir: Path) -> Iterator[tuple[str, str]]:
    """Yield (URL, admin API key) of a service whose parts all live in `data_dir`.

    Raises:
        ServiceDidNotStart: it ended before it was ready.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log_path = data_dir / "service.log"
    command = [sys.executable, "-m", "service", "up", "--data-dir", str(data_dir), "--port", "0"]
    with log_path.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            command, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            url = _wait_until_ready(process, log_path)
            key = (data_dir / "admin.key").read_text().strip()
            yield url, key
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _wait_until_ready(process: subprocess.Popen[str], log_path: Path) -> str:
    assert process.stdout is not None  # noqa: S101  (opened as a pipe above)
    for line in process.stdout:
        if line.startswith("ready "):
            return line.split()[1]
    raise ServiceDidNotStart(f"exit code {process.wait(START_SECONDS)}, see {log_path}")
