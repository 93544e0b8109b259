"""The one archive reader: zip only, every member checked before a byte of it is inflated.

Members are written under numbers, never under their names. A single bad member refuses the whole
archive; macOS and Windows clutter is skipped.
"""

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from service.errors import Fault, PayloadTooLarge, Unprocessable, UnsupportedMediaType
from service.validation import printable

CODE = "bad-archive"
MAX_NAME = 255
MAX_DEPTH = 8
CHUNK_BYTES = 1 << 20
RATIO_FREE_BYTES = 16 << 20
"""Archives that unpack to less than this may be packed as tightly as they like."""

_KINDS = (
    (b"\x1f\x8b", "gzip or tar.gz"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
)
_NESTED = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|rar|7z|tar\.(gz|bz2|xz))$", re.IGNORECASE)
_JUNK = re.compile(r"(^|/)(__MACOSX/|\.|thumbs\.db$|desktop\.ini$)", re.IGNORECASE)
_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_ZIP64_LOCATOR = b"PK\x06\x07"


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may cost."""

    max_entries: int
    max_bytes: int
    max_member_bytes: int
    max_ratio: float


@dataclass(frozen=True)
class Member:
    """A file of an archive, unpacked to `path`; `name` is for showing and pairing only."""

    index: int
    name: str
    path: Path


def unpack(archive: Path, out: Path, limits: ArchiveLimits) -> list[Member]:
    """Unpack the files of `archive` into `out`, under numbers.

    Raises:
        UnsupportedMediaType: not a zip.
        PayloadTooLarge: more members or bytes than `limits` allow.
        Unprocessable: nothing was sent, or a member that is unsafe or damaged; one fault for each.
    """
    with archive.open("rb") as file, _damage_refused():
        _check_kind(file)
        _check_directory(file, limits)
        with zipfile.ZipFile(file) as opened:
            _check_members(opened, file)
            _check_sizes(opened.infolist(), archive.stat().st_size, limits)
            return _inflate(opened, out, limits)


@contextmanager
def _damage_refused() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise Unprocessable("the archive holds a name that is not UTF-8", code=CODE) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as error:
        raise Unprocessable("the archive is damaged or cut off", code=CODE) from error


def _check_kind(file: BinaryIO) -> None:
    head = file.read(8)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return
    if not head:
        raise Unprocessable("the archive is empty: 0 bytes, expected a zip", code=CODE)
    seen = next((kind for magic, kind in _KINDS if head.startswith(magic)), "something else")
    raise UnsupportedMediaType(
        f"archive is {seen}, only zip is accepted",
        extra={"detected": seen, "accepted": ["application/zip"]},
    )


def _check_directory(file: BinaryIO, limits: ArchiveLimits) -> None:
    """Bound the central directory by its own end record, before zipfile reads all of it."""
    size = file.seek(0, 2)
    tail_start = max(0, size - (1 << 16) - _END.size - len(_ZIP64_LOCATOR) - 16)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise Unprocessable("the archive is cut off: it has no directory", code=CODE)
    _, _, _, _, num_entries, directory_bytes, _, _ = _END.unpack_from(tail, at)
    if tail[max(0, at - 20) : at].startswith(_ZIP64_LOCATOR) or num_entries > limits.max_entries:
        raise PayloadTooLarge(
            f"the archive has more than {limits.max_entries} entries",
            extra={"max_entries": limits.max_entries},
        )
    if directory_bytes > limits.max_entries * (MAX_NAME + 1024):
        raise PayloadTooLarge(f"the archive's directory takes {directory_bytes} bytes")


def _check_members(opened: zipfile.ZipFile, file: BinaryIO) -> None:
    members = opened.infolist()
    faults = [
        Fault(f"/files/{index}", f"'{printable(info.orig_filename)}': {fault}")
        for index, info in enumerate(members)
        if (fault := _name_fault(info.orig_filename) or _kind_fault(info))
    ]
    faults += _double_names(members)
    faults += _overlaps(members, file, opened.start_dir)
    if faults:
        noun = "entry" if len(faults) == 1 else "entries"
        raise Unprocessable(
            f"the archive was refused because of {len(faults)} {noun}: {faults[0].detail}",
            code=CODE,
            faults=faults,
        )


def _name_fault(name: str) -> str | None:
    parts = name.removesuffix("/").split("/")
    if len(name) > MAX_NAME or len(parts) > MAX_DEPTH:
        return f"name of {len(name)} characters in {len(parts)} levels is too long or too deep"
    if any(unicodedata.category(character).startswith("C") for character in name):
        return "control or direction characters in the name"
    if "\\" in name or re.match(r"[A-Za-z]:", name):
        return "backslash or drive letter in the name"
    if name.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        return "absolute name, or one that leaves its folder"
    return None


def _kind_fault(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "links and devices are not accepted"
    if info.flag_bits & 0x2041:
        return "encrypted entries are not accepted"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return f"compression method {info.compress_type}, expected stored or deflated"
    if _NESTED.search(info.orig_filename):
        return "archives in archives are not unpacked"
    return None


def _double_names(members: list[zipfile.ZipInfo]) -> list[Fault]:
    """Find names that would be one file on some file system."""
    seen: dict[str, int] = {}
    faults = []
    for index, info in enumerate(members):
        plain = unicodedata.normalize("NFC", info.orig_filename).casefold()
        if plain in seen:
            name = printable(info.orig_filename)
            detail = f"'{name}': same name as entry {seen[plain]}"
            faults.append(Fault(f"/files/{index}", detail))
        seen.setdefault(plain, index)
    return faults


def _overlaps(members: list[zipfile.ZipInfo], file: BinaryIO, directory_start: int) -> list[Fault]:
    """Find entries that share bytes, or whose own header disagrees with the directory."""
    faults = []
    end = 0
    for index, info in sorted(enumerate(members), key=lambda item: item[1].header_offset):
        file.seek(info.header_offset)
        header = file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise zipfile.BadZipFile
        *_, name_length, extra_length = _LOCAL.unpack(header)
        encoding = "utf-8" if info.flag_bits & 0x800 else "cp437"
        name = printable(info.orig_filename)
        if file.read(name_length) != info.orig_filename.encode(encoding, "replace"):
            detail = f"'{name}': its own header gives another name"
            faults.append(Fault(f"/files/{index}", detail))
        if info.header_offset < end:
            faults.append(Fault(f"/files/{index}", f"'{name}': overlaps another entry"))
        start = info.header_offset + _LOCAL.size + name_length + extra_length
        end = max(end, start + info.compress_size)
    if end > directory_start:
        raise zipfile.BadZipFile
    return faults


def _check_sizes(members: list[zipfile.ZipInfo], packed: int, limits: ArchiveLimits) -> None:
    total = sum(info.file_size for info in members)
    largest = max((info.file_size for info in members), default=0)
    if largest > limits.max_member_bytes:
        raise PayloadTooLarge(
            f"a file of the archive has {largest} bytes, at most {limits.max_member_bytes}"
        )
    _check_total(total, packed, limits)


def _check_total(total: int, packed: int, limits: ArchiveLimits) -> None:
    allowed = min(limits.max_bytes, max(RATIO_FREE_BYTES, int(packed * limits.max_ratio)))
    if total > allowed:
        raise PayloadTooLarge(
            f"the archive's {packed} bytes unpack to more than {allowed}",
            extra={"max_bytes": limits.max_bytes, "max_ratio": limits.max_ratio},
        )


def _inflate(opened: zipfile.ZipFile, out: Path, limits: ArchiveLimits) -> list[Member]:
    members = []
    budget = limits.max_bytes
    for index, info in enumerate(opened.infolist()):
        name = unicodedata.normalize("NFC", info.orig_filename)
        if info.is_dir() or _JUNK.search(name):
            continue
        path = out / f"{index:06d}"
        try:
            budget -= _inflate_member(opened, info, path, min(budget, info.file_size))
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            detail = f"'{printable(name)}': damaged, its checksum or data are wrong"
            raise Unprocessable(
                detail, code=CODE, faults=[Fault(f"/files/{index}", detail)]
            ) from error
        members.append(Member(index, name, path))
    return members


def _inflate_member(opened: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, limit: int) -> int:
    """Write one member, counting: its declared size is a claim, not a fact."""
    count = 0
    with opened.open(info) as source, path.open("wb") as target:
        while chunk := source.read(CHUNK_BYTES):
            count += len(chunk)
            if count > limit:
                raise PayloadTooLarge("a file of the archive is larger than it claims")
            target.write(chunk)
    return count


def role_of(name: str) -> tuple[str, str] | None:
    """Return (role, file name) by the layout `images/`, `masks/`, `manifest.csv`, or None.

    One folder may hold the layout; anything else is not part of it.
    """
    path = PurePosixPath(name)
    folders = [part.casefold() for part in path.parts[:-1]]
    if path.name.casefold() == "manifest.csv" and len(folders) <= 1:
        return "manifest", path.name
    if folders and len(folders) <= 2 and folders[-1] in {"images", "masks"}:
        return folders[-1].removesuffix("s"), path.name
    return None
