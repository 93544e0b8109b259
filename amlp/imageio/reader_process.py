"""The limited process that decodes untrusted files: `python -m amlp.imageio.reader_process`.

Reads one JSON line for each job, writes one JSON line for each answer. It limits itself before it
sees the first job, and its parent (`isolation.py`) watches the wall clock.
"""

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from amlp.errors import AmlpError
from amlp.imageio.canonicalise import CanonicaliseJob, canonicalise
from amlp.imageio.limits import ImageLimits


def main() -> None:
    """Answer jobs until the input ends."""
    memory_bytes, cpu_seconds = (int(value) for value in sys.argv[1:3])
    limits = ImageLimits(**json.loads(sys.argv[3]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    for line in sys.stdin:
        _allow_cpu(cpu_seconds)
        sys.stdout.write(json.dumps(_answer(json.loads(line), limits)) + "\n")
        sys.stdout.flush()


def _allow_cpu(seconds: int) -> None:
    """Let the next job have `seconds`, whatever the jobs before it have used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.RLIM_INFINITY))


def _answer(request: dict[str, Any], limits: ImageLimits) -> dict[str, Any]:
    job = CanonicaliseJob(
        source=Path(request["source"]),
        role=request["role"],
        stem=request["stem"],
        num_classes=request["num_classes"],
        with_thumbnail=request["with_thumbnail"],
    )
    try:
        return {"result": asdict(canonicalise(job, Path(request["out"]), limits=limits))}
    except AmlpError as error:
        return {"code": error.code, "message": str(error)}


if __name__ == "__main__":
    main()
