"""Everything that can be asked wrongly, over HTTP: its own problem document, and nothing stored."""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import func, select

from service.app import create_app
from service.auth.keys import create_key
from service.datasets.tables import Dataset, DatasetFile, DatasetVersion
from service.jobs.tables import Job
from service.migrations import upgrade
from service.models.registry import NewVersion, register
from service.models.tables import ModelVersion
from service.problems import Problem
from service.resources import Resources, open_resources
from service.settings import Settings
from tests.service.segmentation.conftest import write_segmenter

pytestmark = pytest.mark.integration

SIDE = 24
Parts = list[tuple[str, tuple[str, bytes]]]


def png(seed: int = 0, *, side: int = SIDE, mode: str = "L") -> bytes:
    """Return a picture of noise."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, channels), np.uint8)
    return encoded(Image.fromarray(pixels.squeeze()))


def png_mask(*, side: int = SIDE, lesion: int = 8) -> bytes:
    pixels = np.zeros((side, side), np.uint8)
    pixels[4 : 4 + lesion, 4 : 4 + lesion] = 255
    return encoded(Image.fromarray(pixels))


def encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def pictures(count: int) -> Parts:
    return [("images", (f"{n}.png", png(n))) for n in range(count)]


@dataclass(frozen=True)
class World:
    """A running service with an empty, an unlabelled, a lesion-free and a sound data set."""

    client: TestClient
    resources: Resources
    reader: dict[str, str]
    sets: dict[str, str]

    def upload(self, name: str, *parts: tuple[str, str, bytes]) -> httpx2.Response:
        files = [(field, (file, content)) for field, file, content in parts]
        return self.client.post(f"/v1/datasets/{self.sets[name]}/files", files=files)

    def upload_zip(self, content: bytes) -> httpx2.Response:
        address = f"/v1/datasets/{self.sets['empty']}/files"
        return self.client.post(
            address, content=content, headers={"Content-Type": "application/zip"}
        )

    def submit(self, kind: str, name: str = "sound", **request: Any) -> httpx2.Response:
        body = {"kind": kind, "dataset": self.sets[name], **request}
        return self.client.post("/v1/jobs", json=body)

    def submit_text(self, config: str) -> httpx2.Response:
        body = f'{{"kind": "pretrain", "dataset": "{self.sets["sound"]}", "config": {config}}}'
        json = {"Content-Type": "application/json"}
        return self.client.post("/v1/jobs", content=body, headers=json)

    def segment(self, content: bytes, model: str = "lesions") -> httpx2.Response:
        return self.client.post("/v1/segment", params={"model": model}, content=content)

    def stored(self) -> tuple[list[int], list[str], list[Path]]:
        """Return what there is: numbers of rows, keys of blobs, files on the way."""
        with self.resources.database.read() as session:
            counts = [
                session.scalar(select(func.count()).select_from(table)) or 0
                for table in (Dataset, DatasetFile, DatasetVersion, Job, ModelVersion)
            ]
        scratch = sorted((self.resources.settings.data_dir / "scratch").rglob("*"))
        return counts, self.resources.storage.keys("datasets"), scratch


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("service")
    settings = Settings(data_dir=folder, redis_url=redis_url, min_free_bytes=0, num_threads=1)
    upgrade(settings.resolved_database_url)
    resources = open_resources(settings)
    with resources.database.write() as session:
        _, admin = create_key(session, name="admin", scopes=["admin"])
        _, reader = create_key(session, name="reader", scopes=["jobs:read"])
    add_segmenter(resources, folder / "checkpoint")
    with TestClient(
        create_app(settings),
        base_url="http://localhost",
        headers={"Authorization": f"Bearer {admin}"},
        raise_server_exceptions=False,
    ) as client:
        yield World(client, resources, {"Authorization": f"Bearer {reader}"}, make_sets(client))
    resources.close()


def make_sets(client: TestClient) -> dict[str, str]:
    masks = [("masks", (f"{n}.png", png_mask())) for n in range(4)]
    no_masks = [("masks", (f"{n}.png", png_mask(lesion=0))) for n in range(4)]
    contents: dict[str, tuple[str, Parts]] = {
        "empty": ("segmentation", []),
        "unlabelled": ("unlabelled", pictures(4)),
        "no lesion": ("segmentation", pictures(4) + no_masks),
        "sound": ("segmentation", pictures(4) + masks),
    }
    sets = {}
    for name, (kind, files) in contents.items():
        made = client.post("/v1/datasets", json={"name": name, "kind": kind}).json()
        sets[name] = made["id"]
        if files:
            address = f"/v1/datasets/{made['id']}"
            assert client.post(f"{address}/files", files=files).status_code == 201
            assert client.post(f"{address}/versions", json={}).status_code == 201
    return sets


def add_segmenter(resources: Resources, folder: Path) -> None:
    path, sha256 = write_segmenter(folder)
    for file in ("weights.safetensors", "checkpoint.json"):
        resources.storage.put_file(f"jobs/job_1/e1/model/{file}", path / file)
    new = NewVersion(
        tenant_id="default",
        name="lesions",
        kind="segmenter",
        key="jobs/job_1/e1/model",
        sha256=sha256,
        card={"architecture": {"channels": 1, "label_names": ["background", "lesion"]}},
        metrics={},
        job_id="job_1",
        dataset_version_id="dsv_1",
        dataset_digest="sha256:" + "0" * 64,
        parent_id=None,
    )
    with resources.database.write() as session:
        register(session, new)


Send = Callable[[World], httpx2.Response]

UNKNOWN = (
    "/v1/datasets/ds_none",
    "/v1/datasets/ds_none/versions/1",
    "/v1/jobs/job_none",
    "/v1/jobs/job_none/events",
    "/v1/jobs/job_none/artifacts/art_none/content",
    "/v1/models/none/versions",
    "/v1/models/lesions/versions/7",
    "/v1/models/lesions/aliases/champion",
)

BAD: dict[str, tuple[Send, int, str, str]] = {
    "no key": (
        lambda w: w.client.get("/v1/jobs", headers={"Authorization": ""}),
        *(401, "unauthenticated", "no API key"),
    ),
    "wrong scope": (
        lambda w: w.client.post("/v1/datasets", json={"name": "x"}, headers=w.reader),
        *(403, "insufficient-scope", "datasets:write"),
    ),
    "empty zip": (lambda w: w.upload_zip(b""), 422, "bad-archive", "0 bytes"),
    "zip of nothing": (lambda w: w.upload_zip(zipped()), 422, "empty-dataset", "no images"),
    "truncated zip": (
        lambda w: w.upload_zip(zipped(**{"images/a.png": png()})[:-30]),
        *(422, "bad-archive", "cut off"),
    ),
    "zip with ..": (
        lambda w: w.upload_zip(zipped(**{"images/a.png": png(), "../b.png": png()})),
        *(422, "bad-archive", "'../b.png'"),
    ),
    "empty image": (
        lambda w: w.upload("empty", ("images", "a.png", b"")),
        *(422, "unreadable-image", "'a.png': empty file"),
    ),
    "truncated image beside a sound one": (
        lambda w: w.upload("empty", ("images", "a.png", png()), ("images", "b.png", png(1)[:200])),
        *(422, "unreadable-image", "1 of 2 files were refused"),
    ),
    "not an image": (
        lambda w: w.upload("empty", ("images", "a.png", b"hello, this is a text")),
        *(415, "unsupported-media-type", "expected PNG, JPEG"),
    ),
    "mask of another size": (
        lambda w: w.upload(
            "empty", ("images", "a.png", png()), ("masks", "a.png", png_mask(side=16))
        ),
        *(422, "inconsistent-geometry", "expected the image's 1 x 24 x 24"),
    ),
    "mask without an image": (
        lambda w: w.upload("empty", ("images", "a.png", png()), ("masks", "b.png", png_mask())),
        *(422, "orphan-mask", "'b.png': mask without an image"),
    ),
    "mask of an unlabelled set": (
        lambda w: w.upload("unlabelled", ("masks", "0.png", png_mask())),
        *(422, "unexpected-mask", "expected kind segmentation"),
    ),
    "freezing nothing": (
        lambda w: w.client.post(f"/v1/datasets/{w.sets['empty']}/versions", json={}),
        *(422, "empty-dataset", "no image"),
    ),
    "training on what is not frozen": (
        lambda w: w.submit("pretrain", "empty"),
        *(409, "conflict", "no frozen version"),
    ),
    "no lesion at all": (
        lambda w: w.submit("finetune", "no lesion"),
        *(422, "no-lesion", "none of the 4 masks"),
    ),
    "fine-tuning on unlabelled images": (
        lambda w: w.submit("finetune", "unlabelled"),
        *(422, "unlabelled", "one training image with a mask, found 0"),
    ),
    "unknown kind": (
        lambda w: w.submit("guess"),
        *(422, "validation", "seen: 'guess'"),
    ),
    "unknown field in a config": (
        lambda w: w.submit("pretrain", config={"optimizer": {"rate": 1}}),
        *(422, "validation", "/config/optimizer/rate unknown field; seen: 1"),
    ),
    "NaN in a config": (
        lambda w: w.submit_text('{"optimizer": {"lr": NaN}}'),
        *(422, "validation", "NaN at /config/optimizer/lr"),
    ),
    "patch size that does not divide the image": (
        lambda w: w.submit("pretrain", config={"image_size": 64, "patch_size": 7}),
        *(422, "validation", "image_size 64 is not a multiple of patch_size 7"),
    ),
    "patch size of nothing": (
        lambda w: w.submit("pretrain", config={"patch_size": 0}),
        *(422, "validation", "/config/patch_size Input should be greater"),
    ),
    "fine-tuning from a model that does not exist": (
        lambda w: w.submit("finetune", init_from="none@3"),
        *(404, "not-found", "no model none@3"),
    ),
    "fine-tuning from a segmenter": (
        lambda w: w.submit("finetune", init_from="lesions"),
        *(422, "validation", "is a segmenter, expected a pretrained"),
    ),
    "segmenting with a model that does not exist": (
        lambda w: w.segment(png(), model="none"),
        *(404, "not-found", "no model none"),
    ),
    "segmenting nothing": (lambda w: w.segment(b""), 422, "unreadable-image", ""),
    "segmenting half an image": (
        lambda w: w.segment(png()[:200]),
        *(422, "unreadable-image", "cut short"),
    ),
    "segmenting a text": (
        lambda w: w.segment(b"hello, this is a text"),
        *(415, "unsupported-media-type", "expected PNG, JPEG"),
    ),
    "segmenting an image of other channels": (
        lambda w: w.segment(png(mode="RGB")),
        *(422, "inconsistent-geometry", "channel"),
    ),
} | {
    f"unknown {address}": (lambda w, at=address: w.client.get(at), 404, "not-found", "")
    for address in UNKNOWN
}


@pytest.mark.parametrize(("send", "status", "code", "words"), BAD.values(), ids=list(BAD))
def test_bad_request_gets_its_own_problem_and_leaves_nothing(
    world: World, send: Send, status: int, code: str, words: str
) -> None:
    before = world.stored()

    answer = send(world)

    problem = Problem.model_validate(answer.json())
    told = [problem.detail, *(f"{fault.pointer} {fault.detail}" for fault in problem.errors)]
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem.status, problem.code) == (status, status, code)
    assert any(words in text for text in told), told
    assert world.stored() == before


def test_second_cancel_conflicts_and_names_the_state(world: World) -> None:
    job = world.submit("pretrain").json()
    world.client.post(job["links"]["cancel"])

    again = world.client.post(job["links"]["cancel"])

    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert f"{job['id']} is CANCELLED" in again.json()["detail"]


def test_full_disk_refuses_an_upload_and_loses_nothing(world: World) -> None:
    full = world.resources.settings.model_copy(update={"min_free_bytes": 2**60})
    part = ("images", ("more.png", png(9)))
    address = f"/v1/datasets/{world.sets['sound']}/files"
    before = world.stored()

    with TestClient(create_app(full), base_url="http://localhost") as client:
        answer = client.post(address, files=[part], headers=dict(world.client.headers))

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["retryable"]) == (
        507,
        "disk-watermark",
        True,
    )
    assert world.stored() == before
