"""Fixtures of data sets: pictures in memory, an empty data set, uploads over HTTP."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from service.datasets.tables import DatasetFile


def png(pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def picture():
    """Return the PNG of a noisy grey or colour picture."""

    def make(seed: int = 0, size: tuple[int, int] = (24, 32), *, is_colour: bool = False) -> bytes:
        shape = (*size, 3) if is_colour else size
        return png(np.random.default_rng(seed).integers(0, 255, shape))

    return make


@pytest.fixture
def mask():
    """Return the PNG of a mask with one square lesion, or none."""

    def make(size: tuple[int, int] = (24, 32), *, start: int = 4, side: int = 8) -> bytes:
        pixels = np.zeros(size)
        pixels[start : start + side, start : start + side] = 255
        return png(pixels)

    return make


@pytest.fixture
def packed():
    """Return a zip of named contents."""

    def make(files: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    return make


@pytest.fixture
def dataset_id(client, headers):
    body = {"name": "breast ultrasound", "kind": "segmentation"}
    return client.post("/v1/datasets", headers=headers, json=body).json()["id"]


@pytest.fixture
def upload(client, headers, dataset_id):
    """Upload (field, name, content) parts to the data set."""

    def send(*parts: tuple[str, str, bytes]):
        files = [(field, (name, content)) for field, name, content in parts]
        return client.post(f"/v1/datasets/{dataset_id}/files", headers=headers, files=files)

    return send


@pytest.fixture
def upload_zip(client, headers, dataset_id):
    def send(content: bytes):
        zipped = {**headers, "Content-Type": "application/zip"}
        return client.post(f"/v1/datasets/{dataset_id}/files", headers=zipped, content=content)

    return send


@pytest.fixture
def freeze(client, headers, dataset_id):
    """Freeze the data set and return the response."""

    def send(**body):
        return client.post(f"/v1/datasets/{dataset_id}/versions", headers=headers, json=body)

    return send


@pytest.fixture
def leftovers(resources, dataset_id):
    """List what is stored of the data set: rows, blobs, scratch files."""

    def look() -> list[str]:
        with resources.database.read() as session:
            rows = list(session.scalars(select(DatasetFile.stem)))
        scratch = resources.settings.data_dir / "scratch"
        files = [str(path) for path in scratch.rglob("*")] if scratch.exists() else []
        return rows + resources.storage.keys(f"datasets/{dataset_id}") + files

    return look
