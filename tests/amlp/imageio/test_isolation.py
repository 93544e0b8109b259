import os
import signal
import threading

import numpy as np
import pytest

from amlp.errors import GeometryMismatch, ImageTooLarge, InvalidMask, UnreadableImage
from amlp.imageio.canonicalise import CanonicaliseJob, CanonicaliseResult
from amlp.imageio.isolation import _ERRORS, IsolatedReader, ProcessLimits, canonicalise_files
from amlp.imageio.limits import ImageLimits


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_outcomes_come_in_the_order_of_the_jobs(picture_file, tmp_path, out):
    good = picture_file(np.zeros((9, 12), np.uint8))
    bad = tmp_path / "bad"
    bad.write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    soft = picture_file(np.array([[0, 90], [170, 255]], np.uint8), "soft.png")
    jobs = [
        CanonicaliseJob(good, "image", "a"),
        CanonicaliseJob(bad, "image", "b"),
        CanonicaliseJob(soft, "mask", "c"),
        CanonicaliseJob(good, "mask", "d"),
    ]

    outcomes = canonicalise_files(jobs, out, num_readers=2)

    assert [type(outcome) for outcome in outcomes] == [
        CanonicaliseResult,
        UnreadableImage,
        InvalidMask,
        CanonicaliseResult,
    ]


def test_progress_counts_the_jobs(picture_file, out):
    source = picture_file(np.zeros((9, 12), np.uint8))
    seen = []

    canonicalise_files(
        [CanonicaliseJob(source, "image", stem) for stem in "ab"],
        out,
        progress=lambda done, total: seen.append((done, total)),
    )

    assert seen == [(1, 2), (2, 2)]


def test_limits_reach_the_process(picture_file, out):
    job = CanonicaliseJob(picture_file(np.zeros((9, 12), np.uint8)), "image", "a")

    (outcome,) = canonicalise_files([job], out, limits=ImageLimits(max_pixels=100))

    assert isinstance(outcome, ImageTooLarge)
    assert "9 x 12" in str(outcome)


def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_read(picture_file, out, tmp_path):
    pipe = tmp_path / "never"
    os.mkfifo(pipe)
    good = picture_file(np.zeros((9, 12), np.uint8))
    jobs = [CanonicaliseJob(pipe, "image", "a"), CanonicaliseJob(good, "image", "b")]

    stuck, read = canonicalise_files(jobs, out, process=ProcessLimits(wall_seconds=5.0))

    assert "more than 5 s" in str(stuck)
    assert isinstance(read, CanonicaliseResult)


def test_a_process_that_died_while_idle_costs_no_file(picture_file, out):
    job = CanonicaliseJob(picture_file(np.zeros((9, 12), np.uint8)), "image", "a")
    with IsolatedReader() as reader:
        reader.canonicalise(job, out)
        os.kill(reader._child.pid, signal.SIGKILL)
        reader._child.wait()

        again = reader.canonicalise(job, out)

    assert again.file == "a.png"


def test_a_crash_costs_one_file_and_names_the_signal(picture_file, out, tmp_path):
    pipe = tmp_path / "never"
    os.mkfifo(pipe)
    good = CanonicaliseJob(picture_file(np.zeros((9, 12), np.uint8)), "image", "a")
    with IsolatedReader() as reader:
        reader.canonicalise(good, out)
        threading.Timer(0.3, os.kill, (reader._child.pid, signal.SIGSEGV)).start()

        with pytest.raises(UnreadableImage, match="signal 11"):
            reader.canonicalise(CanonicaliseJob(pipe, "image", "b"), out)

        assert reader.canonicalise(good, out).file == "a.png"


def test_a_process_without_memory_is_an_unreadable_image(picture_file, out):
    job = CanonicaliseJob(picture_file(np.zeros((9, 12), np.uint8)), "image", "a")
    process = ProcessLimits(memory_bytes=32 * 1024**2)

    with (
        IsolatedReader(process=process) as reader,
        pytest.raises(UnreadableImage, match=r"memory|died"),
    ):
        reader.canonicalise(job, out)


def test_memory_beyond_the_limit_is_refused_and_typed(tmp_path, out):
    path = tmp_path / "big.bmp"
    path.write_bytes(
        b"BM" + bytes(8) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
        + (7000).to_bytes(4, "little") * 2 + b"\x01\0\x18\0" + bytes(24) + bytes(7000 * 7000 * 3)
    )  # fmt: skip
    process = ProcessLimits(memory_bytes=450 * 1024**2)

    (outcome,) = canonicalise_files([CanonicaliseJob(path, "image", "a")], out, process=process)

    assert isinstance(outcome, UnreadableImage)


def test_a_process_is_replaced_after_its_share_of_files(picture_file, out):
    job = CanonicaliseJob(picture_file(np.zeros((9, 12), np.uint8)), "image", "a")
    with IsolatedReader(process=ProcessLimits(max_files=1)) as reader:
        reader.canonicalise(job, out)
        first = reader._child.pid
        reader.canonicalise(job, out)

        assert reader._child.pid != first


def test_an_image_is_read_by_way_of_a_canonical_file(dicom_file, out):
    values = np.arange(80, dtype=np.uint8).reshape(1, 8, 10)
    path = dicom_file(values, PixelSpacing=[0.5, 0.25], Modality="US")

    with IsolatedReader() as reader:
        image = reader.read_image(path, out)

    np.testing.assert_array_equal(image.pixels[0], values)
    assert (image.spacing_mm, image.modality) == ((1.0, 0.5, 0.25), "US")
    assert list(out.iterdir()) == []


def test_closing_twice_is_harmless():
    reader = IsolatedReader()

    reader.close()
    reader.close()


def test_every_error_a_decoder_raises_keeps_its_class():
    assert _ERRORS["data.geometry-mismatch"] is GeometryMismatch
    assert len({error.code for error in _ERRORS.values()}) == len(_ERRORS)
