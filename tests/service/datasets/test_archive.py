"""The archive reader, on archives built here byte by byte where need be."""

import io
import stat
import zipfile

import pytest

from service.datasets import archive
from service.datasets.archive import ArchiveLimits, role_of, unpack
from service.errors import PayloadTooLarge, Unprocessable, UnsupportedMediaType

LIMITS = ArchiveLimits(
    max_entries=50, max_bytes=64 << 20, max_member_bytes=32 << 20, max_ratio=100.0
)


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def read(tmp_path):
    """Unpack the archive with this content."""

    def run(content: bytes, limits: ArchiveLimits = LIMITS):
        path = tmp_path / "archive.zip"
        path.write_bytes(content)
        out = tmp_path / "out"
        out.mkdir()
        return unpack(path, out, limits)

    return run


def test_members_are_unpacked_under_numbers(read, tmp_path):
    members = read(zipped(("images/a.png", b"1"), ("masks/a.png", b"22")))

    assert [(member.name, member.path.read_bytes()) for member in members] == [
        ("images/a.png", b"1"),
        ("masks/a.png", b"22"),
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000000", "000001"]


def test_clutter_and_folders_are_skipped(read):
    members = read(
        zipped(
            ("images/", b""),
            ("images/a.png", b"1"),
            ("__MACOSX/images/._a.png", b"2"),
            ("images/.DS_Store", b"3"),
            ("Thumbs.db", b"4"),
        )
    )

    assert [member.name for member in members] == ["images/a.png"]


@pytest.mark.parametrize(
    "name",
    [
        "../a.png",
        "images/../../a.png",
        "/etc/passwd",
        "images//a.png",
        "./a.png",
        "C:/a.png",
        "c:a.png",
        "images\\a.png",
        "images/a\nb.png",
        "images/\u202egnp.exe",
        "a/" * 9 + "b.png",
        "a" * 256,
    ],
)
def test_unsafe_name_refuses_the_archive(read, name, tmp_path):
    with pytest.raises(Unprocessable) as caught:
        read(zipped(("images/ok.png", b"1"), (name, b"2")))

    assert caught.value.faults[0].pointer == "/files/1"
    assert list((tmp_path / "out").iterdir()) == []


def test_nul_in_a_name_is_seen_although_zipfile_cuts_there(read):
    content = zipped(("images/aXb.png", b"1")).replace(b"aXb", b"a\0b")

    with pytest.raises(Unprocessable, match="control"):
        read(content)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFBLK])
def test_links_and_devices_are_refused(read, kind):
    info = zipfile.ZipInfo("images/a.png")
    info.external_attr = (kind | 0o777) << 16

    with pytest.raises(Unprocessable, match="links and devices"):
        read(zipped((info, b"/etc/passwd")))


@pytest.mark.parametrize(
    ("first", "second"),
    [("a.png", "A.PNG"), ("\u00e9.png", "e\u0301.png"), ("images/a.png", "IMAGES/a.png")],
)
def test_names_that_some_file_system_takes_for_one_are_refused(read, first, second):
    with pytest.raises(Unprocessable, match="same name as entry 0"):
        read(zipped((first, b"1"), (second, b"2")))


def test_encrypted_entry_is_refused(read):
    content = bytearray(zipped(("a.png", b"1")))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1

    with pytest.raises(Unprocessable, match="encrypted"):
        read(bytes(content))


def test_name_that_differs_in_the_local_header_is_refused(read):
    content = zipped(("images/a.png", b"1")).replace(b"images/a.png", b"../../../x.p", 1)

    with pytest.raises(Unprocessable, match="another name"):
        read(content)


def test_overlapping_entries_are_refused(read):
    content = zipped(("a.png", b"1" * 100), ("b.png", b"2" * 100))
    record = content.rindex(b"PK\x01\x02")
    forged = bytearray(content)
    forged[record + 42 : record + 46] = (0).to_bytes(4, "little")

    with pytest.raises(Unprocessable, match=r"overlaps|another name"):
        read(bytes(forged))


def test_wrong_checksum_is_refused_with_its_member(read):
    content = bytearray(zipped(("a.png", b"1" * 100)))
    content[content.index(b"PK\x01\x02") + 16] ^= 1
    content[14] ^= 1

    with pytest.raises(Unprocessable, match=r"'a\.png': damaged"):
        read(bytes(content))


@pytest.mark.parametrize("length", [4, 60, -30])
def test_archive_that_is_cut_off_is_refused(read, length):
    with pytest.raises(Unprocessable):
        read(zipped(("a.png", b"1" * 100))[:length])


def test_nested_archive_is_refused(read):
    with pytest.raises(Unprocessable, match="not unpacked"):
        read(zipped(("images/more.zip", zipped(("a", b"")))))


def test_rare_compression_is_refused(read):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr("a.png", b"1" * 100)

    with pytest.raises(Unprocessable, match="method 14"):
        read(buffer.getvalue())


def test_bomb_is_refused_by_its_ratio_before_inflating(read, tmp_path):
    with pytest.raises(PayloadTooLarge, match="unpack to more"):
        read(zipped(("a.png", bytes(30 << 20))))

    assert list((tmp_path / "out").iterdir()) == []


def test_tightly_packed_small_archive_is_accepted(read):
    (member,) = read(zipped(("mask.nii", bytes(8 << 20))))

    assert member.path.stat().st_size == 8 << 20


def test_member_above_its_limit_is_refused(read):
    limits = ArchiveLimits(max_entries=5, max_bytes=1000, max_member_bytes=10, max_ratio=100.0)

    with pytest.raises(PayloadTooLarge, match="11 bytes, at most 10"):
        read(zipped(("a.png", b"1" * 11)), limits)


def test_forged_size_does_not_get_more_bytes_through(read, tmp_path):
    content = bytearray(zipped(("a.png", bytes(1 << 20))))
    record = content.index(b"PK\x01\x02")
    content[record + 24 : record + 28] = (10).to_bytes(4, "little")

    with pytest.raises((Unprocessable, PayloadTooLarge)):
        read(bytes(content))
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= archive.CHUNK_BYTES


def test_too_many_entries_are_refused(read):
    with pytest.raises(PayloadTooLarge) as caught:
        read(zipped(*((f"{n}.png", b"") for n in range(51))))

    assert caught.value.extra["max_entries"] == 50


@pytest.mark.parametrize(
    ("head", "kind"),
    [(b"\x1f\x8b", "gzip"), (b"Rar!\x1a", "rar"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"", "else")],
)
def test_other_archives_are_unsupported(read, head, kind):
    with pytest.raises(UnsupportedMediaType, match=kind):
        read(head + b"\0" * 100)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("images/a.png", ("image", "a.png")),
        ("set/masks/a.png", ("mask", "a.png")),
        ("Images/a.png", ("image", "a.png")),
        ("manifest.csv", ("manifest", "manifest.csv")),
        ("set/manifest.csv", ("manifest", "manifest.csv")),
        ("a.png", None),
        ("a/b/images/a.png", None),
        ("images/deep/a.png", None),
        ("setup.py", None),
    ],
)
def test_layout_gives_the_role(name, role):
    assert role_of(name) == role
