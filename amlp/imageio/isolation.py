"""Decoding of untrusted files outside this process, with bounds on memory, CPU and wall clock.

A decoder that crashes, hangs or eats memory takes down only its own process; the file gets a typed
error and the next one a fresh process.
"""

import json
import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, cast

from pydantic import TypeAdapter

from amlp.errors import (
    AmlpError,
    GeometryMismatch,
    ImageTooLarge,
    InvalidMask,
    StorageFull,
    UnreadableImage,
    UnsupportedImage,
)
from amlp.imageio.canonicalise import CanonicaliseJob, CanonicaliseResult
from amlp.imageio.image import MedicalImage
from amlp.imageio.limits import ImageLimits
from amlp.imageio.reader import read_image

Outcome = CanonicaliseResult | AmlpError

_RESULT = TypeAdapter(CanonicaliseResult)
_ERRORS: dict[str, type[AmlpError]] = {
    error.code: error
    for error in (
        GeometryMismatch,
        ImageTooLarge,
        InvalidMask,
        StorageFull,
        UnreadableImage,
        UnsupportedImage,
    )
}
_MAX_ANSWER_BYTES = 1024 * 1024
_STOP_SECONDS = 5


@dataclass(frozen=True)
class ProcessLimits:
    """Bounds of one decoding process.

    Attributes:
        memory_bytes: address space.
        cpu_seconds: processor time of one file.
        wall_seconds: time of one file, the start of a fresh process included.
        max_files: files after which the process is replaced, against slow leaks of decoders.
    """

    memory_bytes: int = 6 * 1024**3
    cpu_seconds: int = 60
    wall_seconds: float = 120.0
    max_files: int = 1000


class IsolatedReader:
    """A decoding process that is started when needed and replaced when it dies.

    Serves one thread at a time. Use as a context manager, or call `close`.
    """

    def __init__(
        self, *, limits: ImageLimits | None = None, process: ProcessLimits | None = None
    ) -> None:
        self._limits = limits or ImageLimits()
        self._process = process or ProcessLimits()
        self._child: subprocess.Popen[bytes] | None = None
        self._num_files = 0

    def __enter__(self) -> "IsolatedReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def canonicalise(self, job: CanonicaliseJob, out: Path) -> CanonicaliseResult:
        """Do one job in the process.

        Raises:
            UnreadableImage: the file is damaged, or its decoder crashed or took too long.
            AmlpError: as `canonicalise` of the library raises it.
        """
        answer = self._ask({**asdict(job), "source": str(job.source), "out": str(out)})
        if "result" in answer:
            return _RESULT.validate_python(answer["result"])
        raise _ERRORS.get(answer["code"], UnreadableImage)(answer["message"])

    def read_image(self, path: Path, scratch: Path) -> MedicalImage:
        """Read an untrusted image by way of a canonical file in `scratch`, which is removed again.

        Raises:
            UnreadableImage: the file is damaged, or its decoder crashed or took too long.
            AmlpError: as `read_image` of the library raises it.
        """
        job = CanonicaliseJob(path, "image", f"read-{secrets.token_hex(8)}", with_thumbnail=False)
        described = self.canonicalise(job, scratch)
        canonical = scratch / described.file
        try:
            image = read_image(canonical, limits=self._limits)
        finally:
            canonical.unlink(missing_ok=True)
        return replace(
            image,
            spacing_mm=described.spacing_mm,
            patient=described.patient,
            modality=described.modality,
            warnings=described.warnings,
        )

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.communicate(timeout=_STOP_SECONDS)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + self._process.wall_seconds
        child = self._running()
        self._num_files += 1
        try:
            return _exchange(child, request, deadline)
        except (EOFError, BrokenPipeError, ValueError) as error:
            child.kill()
            status = child.wait()
            self.close()
            raise UnreadableImage(f"the decoder of the file died ({_cause(status)})") from error
        except TimeoutError as error:
            self.close()
            raise UnreadableImage(
                f"decoding took more than {self._process.wall_seconds:g} s"
            ) from error

    def _running(self) -> subprocess.Popen[bytes]:
        if self._num_files >= self._process.max_files or (
            self._child is not None and self._child.poll() is not None
        ):
            self.close()
        if self._child is None:
            self._num_files = 0
            self._child = _start(self._limits, self._process)
        return self._child


def canonicalise_files(
    jobs: Sequence[CanonicaliseJob],
    out: Path,
    *,
    limits: ImageLimits | None = None,
    process: ProcessLimits | None = None,
    num_readers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """Do jobs in limited processes and return, in their order, a result or an error for each.

    Args:
        jobs: files to canonicalise.
        out: existing folder for the canonical files.
        limits: upper bounds of an image.
        process: bounds of a decoding process.
        num_readers: processes that work side by side.
        progress: called with the jobs done so far and their number, from other threads.
    """
    idle: SimpleQueue[IsolatedReader] = SimpleQueue()

    def run(job: CanonicaliseJob) -> Outcome:
        reader = idle.get()
        try:
            return reader.canonicalise(job, out)
        except AmlpError as error:
            return error
        finally:
            idle.put(reader)

    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        for _ in range(num_readers):
            idle.put(stack.enter_context(IsolatedReader(limits=limits, process=process)))
        pool = stack.enter_context(ThreadPoolExecutor(num_readers))
        for outcome in pool.map(run, jobs):
            outcomes.append(outcome)
            if progress is not None:
                progress(len(outcomes), len(jobs))
    return outcomes


def _start(limits: ImageLimits, process: ProcessLimits) -> subprocess.Popen[bytes]:
    # An environment of its own keeps secrets out of the process, and threads out of its memory.
    environment = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [
            sys.executable,
            "-m",
            "amlp.imageio.reader_process",
            str(process.memory_bytes),
            str(process.cpu_seconds),
            json.dumps(asdict(limits)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


def _exchange(
    child: subprocess.Popen[bytes], request: dict[str, Any], deadline: float
) -> dict[str, Any]:
    """Send a line and return the answer.

    Raises:
        TimeoutError: no answer before the deadline.
        EOFError: the process ended.
        ValueError: the answer is not what a decoder of ours says.
    """
    requests, answers = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
    requests.write(json.dumps(request).encode() + b"\n")
    requests.flush()
    answer = b""
    while not answer.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([answers], [], [], left)[0]:
            raise TimeoutError
        chunk = os.read(answers.fileno(), 65536)
        if not chunk:
            raise EOFError
        answer += chunk
        if len(answer) > _MAX_ANSWER_BYTES:
            raise ValueError("answer is too long")
    parsed: dict[str, Any] = json.loads(answer)
    return parsed


def _cause(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
