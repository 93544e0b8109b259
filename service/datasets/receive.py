"""Receives the body of an upload: streamed to disk, under numbers, within limits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from service.datasets.archive import ArchiveLimits, Member, role_of, unpack
from service.errors import (
    Fault,
    MalformedRequest,
    PayloadTooLarge,
    Unprocessable,
    UnsupportedMediaType,
)
from service.settings import Settings
from service.validation import joined, printable

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELDS: dict[str, str] = {
    "images": "image",
    "masks": "mask",
    "manifest": "manifest",
    "archive": "archive",
}
ZIP_TYPES = frozenset({"application/zip", "application/x-zip-compressed"})
MAX_MANIFEST_BYTES = 16 << 20
_PICTURE = re.compile(r"\.(png|jpe?g|tiff?|bmp|dcm|dicom|ima|nii|nii\.gz)$", re.IGNORECASE)


@dataclass(frozen=True)
class ReceivedFile:
    """A file as it came. `index` numbers the files of the request, `name` is for showing only."""

    index: int
    role: str
    name: str
    path: Path

    @property
    def pointer(self) -> str:
        """Where the file is in the request, as faults name it."""
        return f"/files/{self.index}"


@dataclass
class Upload:
    """Everything an upload brought."""

    files: list[ReceivedFile] = field(default_factory=list)
    manifest: bytes | None = None
    warnings: list[str] = field(default_factory=list)

    def add(self, received: ReceivedFile) -> None:
        """Take a file in, by its role."""
        if received.role != "manifest":
            self.files.append(received)
            return
        if self.manifest is not None:
            raise _refused(received, "second manifest, expected one")
        if received.path.stat().st_size > MAX_MANIFEST_BYTES:
            raise _refused(received, f"manifest above {MAX_MANIFEST_BYTES} bytes")
        self.manifest = received.path.read_bytes()


async def receive_upload(request: Request, folder: Path, settings: Settings) -> Upload:
    """Stream the request's body into `folder` and take it apart.

    Raises:
        UnsupportedMediaType: neither multipart nor zip.
        PayloadTooLarge: a limit of `settings` is exceeded.
        MalformedRequest: the multipart body is broken.
        Unprocessable: unsafe or damaged archive, or unknown fields.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    match media_type.decode("latin-1"):
        case "multipart/form-data":
            received = await _receive_parts(request, options.get(b"boundary"), folder, settings)
        case kind if kind in ZIP_TYPES:
            received = [await _receive_whole(request, folder)]
        case _:
            raise UnsupportedMediaType(
                "an upload is multipart/form-data or application/zip",
                extra={"accepted": ["multipart/form-data", "application/zip"]},
            )
    return await run_in_threadpool(_take_apart, received, folder, settings)


async def _receive_whole(request: Request, folder: Path) -> ReceivedFile:
    path = folder / "body"
    with path.open("wb") as file:
        async for chunk in request.stream():
            await run_in_threadpool(file.write, chunk)
    return ReceivedFile(0, "archive", "archive", path)


async def _receive_parts(
    request: Request, boundary: bytes | None, folder: Path, settings: Settings
) -> list[ReceivedFile]:
    if boundary is None:
        raise MalformedRequest("multipart body without a boundary")
    parts = _Parts(folder, settings)
    try:
        parser = MultipartParser(boundary, parts.callbacks)
        async for chunk in request.stream():
            await run_in_threadpool(parser.write, chunk)
        parser.finalize()
    except FormParserError as error:
        raise MalformedRequest("the multipart body is broken") from error
    finally:
        parts.close()
    if not parts.is_complete:
        raise MalformedRequest("the multipart body is cut off")
    return parts.received


class _Parts:
    """Writes the parts of a multipart body to numbered files as they come."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.received: list[ReceivedFile] = []
        self.is_complete = False
        self._folder = folder
        self._settings = settings
        self._file: BinaryIO | None = None
        self._limit = 0
        self._header = (b"", b"")
        self._disposition = b""
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header_name,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_part_end": self.close,
            "on_end": self._finish,
        }

    def close(self) -> None:
        """Close the part that is being written."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _begin(self) -> None:
        self._disposition = b""

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], self._header[1])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def _on_header_end(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = value
        self._header = (b"", b"")

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        field_name = printable(options.get(b"name", b"").decode("utf-8", "replace"))
        role = FIELDS.get(field_name)
        index = len(self.received)
        if role is None:
            detail = f"form field '{field_name}', expected one of {joined(FIELDS)}"
            raise Unprocessable(detail, faults=[Fault(f"/files/{index}", detail)])
        if index >= self._settings.max_archive_entries:
            raise PayloadTooLarge(f"more than {self._settings.max_archive_entries} files")
        name = _last_component(options.get(b"filename", b"").decode("utf-8", "replace"))
        path = self._folder / f"{index:06d}"
        self.received.append(ReceivedFile(index, role, name, path))
        self._limit = (
            self._settings.max_upload_bytes if role == "archive" else self._settings.max_image_bytes
        )
        self._file = path.open("wb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            raise MalformedRequest("the multipart body is broken")
        self._file.write(data[start:end])
        if self._file.tell() > self._limit:
            raise PayloadTooLarge(
                f"a file has more than {self._limit} bytes", extra={"max_bytes": self._limit}
            )

    def _finish(self) -> None:
        self.is_complete = True


def _last_component(name: str) -> str:
    return re.split(r"[\\/]", name)[-1]


def _take_apart(received: Sequence[ReceivedFile], folder: Path, settings: Settings) -> Upload:
    upload = Upload()
    if len(received) > 1 and (archives := [one for one in received if one.role == "archive"]):
        raise _refused(archives[0], "an archive with other files, expected it alone")
    for one in received:
        if one.role != "archive":
            upload.add(one)
            continue
        limits = ArchiveLimits(
            max_entries=settings.max_archive_entries,
            max_bytes=settings.max_archive_bytes,
            max_member_bytes=settings.max_image_bytes,
            max_ratio=settings.max_archive_ratio,
        )
        out = folder / f"unpacked-{one.index}"
        out.mkdir()
        _sort_members(unpack(one.path, out, limits), upload)
        one.path.unlink()
    return upload


def _sort_members(members: list[Member], upload: Upload) -> None:
    """Take in the members that the layout knows; without one, everything that may be a picture."""
    known = {member.index: role_of(member.name) for member in members}
    has_layout = any(found and found[0] != "manifest" for found in known.values())
    num_skipped = 0
    for member in members:
        found = known[member.index]
        name = _last_component(member.name)
        if found is None and not has_layout and _PICTURE.search(name):
            found = ("image", name)
        if found is None:
            num_skipped += 1
            continue
        upload.add(ReceivedFile(member.index, found[0], name, member.path))
    if num_skipped:
        upload.warnings.append(
            f"{num_skipped} files of the archive were skipped: they are not in a folder "
            "images/ or masks/"
        )


def _refused(received: ReceivedFile, detail: str) -> Unprocessable:
    return Unprocessable(detail, faults=[Fault(received.pointer, detail)])
