"""Collects what is wrong with the files of an upload, so that one answer names them all."""

from service.datasets.receive import ReceivedFile
from service.errors import Fault, ServiceError, Unprocessable
from service.validation import printable


class Refusals:
    """Faults of single files; any of them refuses the whole upload."""

    def __init__(self, num_files: int) -> None:
        self._num_files = num_files
        self._errors: list[ServiceError] = []
        self._faults: list[Fault] = []

    def add(self, received: ReceivedFile, error: ServiceError) -> None:
        """Note that `received` cannot be taken because of `error`."""
        detail = f"'{printable(received.name)}': {error.detail}"
        self._errors.append(error)
        self._faults.append(Fault(received.pointer, detail))

    def raise_if_any(self) -> None:
        """Raise one error that names all refused files.

        Its status is theirs where they agree, else 422.
        """
        if not self._errors:
            return
        were = "file was" if self._num_files == 1 else "files were"
        detail = (
            f"{len(self._faults)} of {self._num_files} {were} refused and nothing was stored; "
            f"{self._faults[0].detail}"
        )
        kinds = {(type(error), error.code) for error in self._errors}
        if len(kinds) == 1:
            kind, code = kinds.pop()
            raise kind(detail, code=code, faults=self._faults)
        raise Unprocessable(detail, faults=self._faults)
