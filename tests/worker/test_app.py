"""The Celery application's process stays free of torch and of HTTP."""

import subprocess
import sys

SCRIPT = """
import sys
import worker.app
import worker.lookout
loaded = {"torch", "timm", "monai", "fastapi"} & set(sys.modules)
raise SystemExit(f"loaded: {loaded}" if loaded else 0)
"""


def test_worker_process_loads_neither_torch_nor_fastapi() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], check=False, capture_output=True)

    assert ended.returncode == 0, ended.stderr
