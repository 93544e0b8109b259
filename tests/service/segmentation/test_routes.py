"""`/segment`, from bytes to bytes, with a real network."""

import gzip
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

from service.models.tables import ModelVersion

pytestmark = pytest.mark.integration  # each test starts a decoding process

Add = Callable[..., ModelVersion]
Headers = dict[str, str]


def picture(kind: str = "PNG", *, mode: str = "L", size: tuple[int, int] = (50, 40)) -> bytes:
    channels = len(Image.new(mode, (1, 1)).getbands())
    cells = np.random.default_rng(0).integers(0, 255, (size[1], size[0], channels), np.uint8)
    buffer = BytesIO()
    Image.fromarray(cells.squeeze()).save(buffer, format=kind)
    return buffer.getvalue()


def volume(affine: np.ndarray) -> bytes:
    cells = np.random.default_rng(0).normal(size=(50, 40, 3)).astype(np.float32)
    return gzip.compress(nib.Nifti1Image(cells, affine).to_bytes())


def ultrasound() -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UltrasoundImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = UltrasoundImageStorage, generate_uid()
    image.Modality, image.PatientID = "US", "canary-patient-id"
    image.Rows, image.Columns, image.SamplesPerPixel = 40, 50, 1
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelSpacing = [0.2, 0.1]
    image.PixelData = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8).tobytes()
    buffer = BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes whose header declares 30000 x 30000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    body = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


def post(
    client: TestClient, headers: Headers, body: bytes, accept: str = "*/*", **more: object
) -> Response:
    path = str(more.pop("path", "/v1/segment"))
    return client.post(path, content=body, headers={**headers, "Accept": accept}, params=more)


def test_an_image_gets_its_measurements(client: TestClient, headers: Headers, add_segmenter: Add):
    add_segmenter()

    answer = post(client, headers, picture())

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["input"] == {
        "format": "png",
        "size": [40, 50],
        "slices": 1,
        "channels": 1,
        "lossy_input": False,
    }
    assert [one["name"] for one in body["classes"]] == ["lesion"]
    assert set(body["timings_s"]) == {"receive", "decode", "queue", "forward", "encode"}


@pytest.mark.parametrize("path", ["/segment", "/v1/segment", "/v1/models/lesions/segment"])
def test_every_address_gives_the_same_mask(
    client: TestClient, headers: Headers, add_segmenter: Add, path: str
):
    add_segmenter()

    answer = post(client, headers, picture(), "image/png", path=path)

    assert answer.status_code == 200, answer.text
    mask = Image.open(BytesIO(answer.content))
    assert (mask.mode, mask.size) == ("L", (50, 40))
    assert answer.headers["X-Model-Version"] == "lesions@1"


def test_a_form_and_a_raw_body_get_the_same_mask(
    client: TestClient, headers: Headers, add_segmenter: Add
):
    add_segmenter()
    accepting = {**headers, "Accept": "image/png"}

    raw = post(client, headers, picture(), "image/png")
    form = client.post("/segment", files={"image": ("x.png", picture())}, headers=accepting)

    assert form.status_code == 200, form.text
    assert form.content == raw.content


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_every_kind_of_picture_is_read(
    client: TestClient, headers: Headers, add_segmenter: Add, kind: str
):
    add_segmenter()

    answer = post(client, headers, picture(kind))

    assert answer.status_code == 200, answer.text
    assert answer.json()["input"]["format"] == kind.lower()


def test_dicom_is_measured_in_millimetres_and_leaks_no_patient(
    client: TestClient, headers: Headers, add_segmenter: Add
):
    add_segmenter()

    answer = post(client, headers, ultrasound(), threshold=0.01)

    assert answer.status_code == 200, answer.text
    (lesion,) = answer.json()["classes"]
    assert lesion["area_mm2"] == pytest.approx(lesion["pixels"] * 0.02)
    assert "canary" not in answer.text


def test_nifti_comes_back_on_its_own_grid(client: TestClient, headers: Headers, add_segmenter: Add):
    add_segmenter()
    affine = np.array([[-0.5, 0, 0, 1], [0, -0.5, 0, 2], [0, 0, 4.0, 3], [0, 0, 0, 1]])

    answer = post(client, headers, volume(affine), "application/vnd.nifti")

    assert answer.status_code == 200, answer.text
    result = nib.Nifti1Image.from_bytes(gzip.decompress(answer.content))
    assert result.shape == (50, 40, 3)
    np.testing.assert_allclose(result.affine, affine, atol=1e-5)


def test_a_volume_has_a_picture_only_of_a_slice(
    client: TestClient, headers: Headers, add_segmenter: Add
):
    add_segmenter()

    whole = post(client, headers, volume(np.eye(4)), "image/png")
    one = post(client, headers, volume(np.eye(4)), "image/png", slice=2)
    beyond = post(client, headers, volume(np.eye(4)), "image/png", slice=3)

    assert whole.status_code == 406
    assert "image/png" not in whole.json()["available"]
    assert one.status_code == 200
    assert beyond.status_code == 422


def test_the_second_request_finds_the_model_in_memory(
    client: TestClient, headers: Headers, add_segmenter: Add
):
    add_segmenter()

    answers = [post(client, headers, picture()) for _ in range(2)]

    assert [answer.headers["X-Model-Cache"] for answer in answers] == ["miss", "hit"]


def test_the_stages_are_measured(client: TestClient, headers: Headers, add_segmenter: Add):
    add_segmenter()

    answer = post(client, headers, picture())
    metrics = client.get("/metrics", headers=headers).text

    for stage in ("receive", "decode", "queue", "forward", "encode"):
        assert f"{stage};dur=" in answer.headers["Server-Timing"]
        assert f'amlp_predict_duration_seconds_count{{stage="{stage}"}}' in metrics


def test_a_high_threshold_finds_no_lesion_and_says_so(
    client: TestClient, headers: Headers, add_segmenter: Add
):
    add_segmenter()

    answer = post(client, headers, picture(), threshold=0.999999)

    assert answer.status_code == 200
    assert answer.json()["classes"][0]["pixels"] == 0


def test_a_wrong_declaration_is_a_warning(client: TestClient, headers: Headers, add_segmenter: Add):
    add_segmenter()

    answer = post(client, {**headers, "Content-Type": "image/jpeg"}, picture("PNG"))

    assert answer.status_code == 200
    assert any("image/jpeg" in warning for warning in answer.json()["warnings"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "unreadable-image"),
        (b"hello, this is a text", 415, "unsupported-media-type"),
        (b'{"image": "no"}' * 10, 415, "unsupported-media-type"),
        (b"GIF89a" + bytes(100), 415, "unsupported-media-type"),
        (picture()[:300], 422, "unreadable-image"),
        (bomb(), 413, "image-too-large"),
        (picture(mode="RGB"), 422, "inconsistent-geometry"),
    ],
    ids=["empty", "text", "json", "gif", "truncated", "bomb", "colour for a grey model"],
)
def test_a_bad_body_is_refused_with_its_reason(
    client: TestClient,
    headers: Headers,
    add_segmenter: Add,
    body: bytes,
    status: int,
    code: str,
):
    add_segmenter()

    answer = post(client, headers, body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_nothing_of_a_request_stays_on_disk(
    client: TestClient, headers: Headers, add_segmenter: Add, tmp_path: Path
):
    add_segmenter()

    post(client, headers, picture())
    post(client, headers, picture()[:300])

    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_grey_picture_stored_as_colour_fits_a_grey_model(
    client: TestClient, headers: Headers, add_segmenter: Add
):
    add_segmenter()
    buffer = BytesIO()
    Image.open(BytesIO(picture())).convert("RGB").save(buffer, format="PNG")

    answer = post(client, headers, buffer.getvalue())

    assert answer.status_code == 200


def test_a_form_without_the_image_is_refused(
    client: TestClient, headers: Headers, add_segmenter: Add
):
    add_segmenter()

    answer = client.post("/segment", files={"picture": picture()}, headers=headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/image"


def test_a_form_without_a_boundary_is_malformed(
    client: TestClient, headers: Headers, add_segmenter: Add
):
    add_segmenter()

    answer = post(client, {**headers, "Content-Type": "multipart/form-data"}, b"x")

    assert answer.status_code == 400


def test_an_unknown_model_is_not_found(client: TestClient, headers: Headers, add_segmenter: Add):
    add_segmenter()

    answer = post(client, headers, picture(), model="liver")

    assert answer.status_code == 404


def test_the_model_of_another_tenant_is_not_found(
    client: TestClient, headers: Headers, add_segmenter: Add
):
    add_segmenter("theirs", tenant="other")

    answer = post(client, headers, picture(), model="theirs")

    assert answer.status_code == 404


def test_without_any_segmenter_nothing_is_found(client: TestClient, headers: Headers):
    answer = post(client, headers, picture())

    assert answer.status_code == 404


def test_among_several_models_one_must_be_named(
    client: TestClient, headers: Headers, add_segmenter: Add
):
    add_segmenter("breast")
    add_segmenter("skin")

    answer = post(client, headers, picture())

    assert answer.status_code == 422
    assert "breast, skin" in answer.json()["errors"][0]["detail"]


def test_an_encoder_cannot_segment(client: TestClient, headers: Headers, add_segmenter: Add):
    add_segmenter("encoder", kind="pretrained")

    answer = post(client, headers, picture(), model="encoder")

    assert answer.status_code == 422
    assert "pretrained" in answer.json()["detail"]


def test_what_cannot_be_given_is_refused_before_the_work(client: TestClient, headers: Headers):
    answer = post(client, headers, picture(), "application/dicom")

    assert answer.status_code == 406
    assert "application/vnd.nifti" in answer.json()["available"]


@pytest.mark.parametrize(
    "query", [{"threshold": "0"}, {"threshold": "nan"}, {"include": "all"}, {"limit": "0.5"}]
)
def test_a_wrong_option_is_refused(client: TestClient, headers: Headers, query: dict[str, str]):
    answer = post(client, headers, picture(), **query)

    assert answer.status_code == 422


def test_outlines_come_on_request(client: TestClient, headers: Headers, add_segmenter: Add):
    add_segmenter()

    answer = post(client, headers, picture(), include="coco_rle,polygons", threshold=0.01)

    (lesion,) = answer.json()["classes"]
    assert lesion["coco_rle"][0]["size"] == [40, 50]
    assert lesion["polygons"]


def test_a_key_without_the_scope_is_refused(
    client: TestClient, make_headers: Callable[..., Headers]
):
    answer = post(client, make_headers("jobs:read"), picture())

    assert answer.status_code == 403


def test_without_a_key_nothing_is_segmented(client: TestClient):
    answer = post(client, {}, picture())

    assert answer.status_code == 401


def test_an_image_above_the_limit_is_refused(
    client: TestClient, headers: Headers, add_segmenter: Add, monkeypatch: pytest.MonkeyPatch
):
    add_segmenter()
    settings = client.app.state.resources.settings
    monkeypatch.setitem(settings.__dict__, "max_image_bytes", 1000)

    answer = post(client, headers, picture())

    assert answer.status_code == 413
    assert answer.json()["max_bytes"] == 1000
