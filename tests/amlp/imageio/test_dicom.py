import hashlib
import logging
import zlib

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import SegmentationStorage

from amlp.errors import AmlpError, ImageTooLarge, UnreadableImage, UnsupportedImage
from amlp.imageio.image import MedicalImage
from amlp.imageio.reader import read_image

PLANE = np.arange(80, dtype=np.uint16).reshape(1, 8, 10)


def test_frames_become_slices(dicom_file, rng):
    values = rng.integers(0, 4096, (5, 8, 10), dtype=np.uint16)

    image = read_image(dicom_file(values))

    assert image.pixels.dtype == np.float32
    np.testing.assert_array_equal(image.pixels[0], values)


def test_signed_values_keep_their_sign(dicom_file):
    values = np.arange(-40, 40, dtype=np.int16).reshape(1, 8, 10)

    np.testing.assert_array_equal(read_image(dicom_file(values)).pixels[0], values)


def test_8_bit_grey_without_rescale_stays_a_picture(dicom_file):
    image = read_image(dicom_file(PLANE.astype(np.uint8)))

    assert image.pixels.dtype == np.uint8


def test_odd_sized_8_bit_frames_are_read_with_their_padding_byte(dicom_file):
    values = np.arange(81, dtype=np.uint8).reshape(1, 9, 9)

    image = read_image(dicom_file(values, PixelData=values.tobytes() + b"\0"))

    np.testing.assert_array_equal(image.pixels[0], values)


def test_patient_key_is_a_hash_and_no_identifier(dicom_file):
    image = read_image(dicom_file(PLANE, PatientID="made-up-7", IssuerOfPatientID="here"))

    assert image.patient == hashlib.sha256(b"here\0made-up-7").hexdigest()[:32]


def test_an_absent_patient_has_no_key(dicom_file):
    assert read_image(dicom_file(PLANE, PatientID=None)).patient is None


def test_modality_is_read(dicom_file):
    assert read_image(dicom_file(PLANE, Modality="MR")).modality == "MR"


def test_a_modality_that_could_hold_a_name_is_ignored(dicom_file):
    assert read_image(dicom_file(PLANE, Modality="JOHN DOE")).modality is None


def test_burned_in_annotation_is_surfaced(dicom_file):
    image = read_image(dicom_file(PLANE, BurnedInAnnotation="YES"))

    assert any("BurnedInAnnotation" in warning for warning in image.warnings)


def test_a_file_without_preamble_is_read_when_its_meta_header_is_there(dicom_file):
    path = dicom_file(PLANE)
    path.write_bytes(path.read_bytes()[132:])

    np.testing.assert_array_equal(read_image(path).pixels[0], PLANE)


def test_a_deflated_file_is_read(dicom_file):
    path = dicom_file(PLANE)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)

    np.testing.assert_array_equal(read_image(path).pixels[0], PLANE)


def test_a_segmentation_is_no_image(dicom_file):
    with pytest.raises(UnsupportedImage, match="segmentation"):
        read_image(dicom_file(PLANE, SOPClassUID=SegmentationStorage))


def test_a_file_without_pixels_is_no_image(dicom_file):
    with pytest.raises(UnsupportedImage, match="no pixel data"):
        read_image(dicom_file(PLANE, PixelData=None))


def test_an_unknown_transfer_syntax_is_named(dicom_file):
    path = dicom_file(PLANE)
    path.write_bytes(
        path.read_bytes().replace(b"\x001.2.840.10008.1.2.1\0", b"\x001.2.3.4.5.6.7.8.9.0\0")
    )

    with pytest.raises(UnsupportedImage, match=r"1\.2\.3\.4\.5\.6\.7\.8\.9\.0"):
        read_image(path)


def test_a_deflated_bomb_is_refused_while_it_inflates(dicom_file):
    path = dicom_file(PLANE)
    data = path.read_bytes()
    end = data.index(b"\x08\0\x16\0UI")
    meta = data[:end].replace(b"\x14\x001.2.840.10008.1.2.1\0", b"\x16\x001.2.840.10008.1.2.1.99")
    deflater = zlib.compressobj(wbits=-15)
    bomb = deflater.compress(b"\0" * 100_000_000) + deflater.flush()
    path.write_bytes(meta + bomb)

    with pytest.raises(ImageTooLarge, match="inflate"):
        read_image(path)


def test_values_that_break_the_standard_do_not_reach_the_log(dicom_file, caplog):
    path = dicom_file(PLANE, StudyInstanceUID="1.2.3.4.5.6.7.8")
    path.write_bytes(path.read_bytes().replace(b"1.2.3.4.5.6.7.8", b"canary-patient-"))

    with caplog.at_level(logging.DEBUG):
        read_image(path)

    assert "canary" not in caplog.text


def test_nothing_of_the_patient_reaches_messages_or_logs(dicom_file, caplog):
    path = dicom_file(PLANE, PatientName="Canary^Name", PatientID="canary-id")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\xe0\x7f\x10\0") + 20])

    with caplog.at_level(logging.DEBUG), pytest.raises(UnreadableImage) as caught:
        read_image(path)

    assert "canary" not in (str(caught.value) + caplog.text).lower()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32 - 1))
def test_damaged_bytes_give_an_image_or_a_typed_error(dicom_file, tmp_path, seed):
    damage = np.random.default_rng(seed)
    source = dicom_file(PLANE, RescaleSlope=2, PixelSpacing=[1, 1], SliceThickness=3)
    data = np.frombuffer(source.read_bytes(), np.uint8).copy()
    where = damage.integers(128, len(data), damage.integers(1, 5))
    data[where] = damage.integers(0, 256, len(where))
    path = tmp_path / "damaged"
    path.write_bytes(data[: damage.integers(200, len(data) + 300)].tobytes())

    try:
        image = read_image(path)
    except AmlpError:
        return

    assert isinstance(image, MedicalImage)
