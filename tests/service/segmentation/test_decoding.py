"""Untrusted bytes become images in other processes."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from amlp.errors import UnreadableImage
from service.errors import UnsupportedMediaType
from service.segmentation.decoding import Decoded, Decoder
from service.segmentation.receiving import Received
from service.settings import Settings


@pytest.fixture(scope="module")
def decode() -> Callable[..., list[Any]]:
    """Decode files side by side; errors are returned."""

    def run(*received: Received, **settings: Any) -> list[Any]:
        async def main() -> list[Any]:
            decoder = Decoder(Settings(**settings))
            try:
                return await asyncio.gather(*map(decoder.decode, received), return_exceptions=True)
            finally:
                decoder.close()

        return asyncio.run(main())

    return run


def save(folder: Path, content: bytes, media_type: str = "image/png") -> Received:
    folder.mkdir(exist_ok=True)
    path = folder / "received"
    path.write_bytes(content)
    return Received(path, media_type)


def png(seed: int = 0) -> tuple[bytes, np.ndarray]:
    cells = np.random.default_rng(seed).integers(0, 255, (30, 20), np.uint8)
    buffer = BytesIO()
    Image.fromarray(cells).save(buffer, format="PNG")
    return buffer.getvalue(), cells


def test_images_side_by_side_are_not_mixed_up(tmp_path: Path, decode: Callable[..., list[Decoded]]):
    pictures = [png(seed) for seed in range(6)]

    decoded = decode(*(save(tmp_path / str(i), one) for i, (one, _) in enumerate(pictures)))

    for found, (_, cells) in zip(decoded, pictures, strict=True):
        np.testing.assert_array_equal(found.image.pixels[0, 0], cells)


def test_a_broken_image_fails_and_the_next_is_read(
    tmp_path: Path, decode: Callable[..., list[Any]]
):
    content, _ = png()

    outcomes = decode(save(tmp_path / "a", content[:200]), save(tmp_path / "b", content))

    assert isinstance(outcomes[0], UnreadableImage)
    assert isinstance(outcomes[1], Decoded)


def test_withdrawn_requests_leave_a_working_decoder(tmp_path: Path):
    content, cells = png()

    async def main() -> Decoded:
        decoder = Decoder(Settings())
        try:
            withdrawn = [
                asyncio.create_task(decoder.decode(save(tmp_path / str(i), content)))
                for i in range(8)
            ]
            await asyncio.sleep(0.01)
            for one in withdrawn:
                one.cancel()
            await asyncio.gather(*withdrawn, return_exceptions=True)
            return await decoder.decode(save(tmp_path / "last", content))
        finally:
            decoder.close()

    decoded = asyncio.run(main())

    np.testing.assert_array_equal(decoded.image.pixels[0, 0], cells)


def test_other_kinds_of_files_are_named(tmp_path: Path, decode: Callable[..., list[Any]]):
    (refusal,) = decode(save(tmp_path, b"%PDF-1.7" + bytes(100)))

    assert isinstance(refusal, UnsupportedMediaType)
    assert "PDF" in refusal.detail
    assert "image/png" in refusal.extra["supported"]


def test_a_wrong_declaration_is_a_warning_and_the_content_counts(
    tmp_path: Path, decode: Callable[..., list[Decoded]]
):
    (decoded,) = decode(save(tmp_path, png()[0], "application/dicom"))

    assert decoded.image_format == "png"
    assert decoded.warnings == ("declared as application/dicom, but the content is png",)


def test_an_undeclared_type_is_no_reason_to_warn(
    tmp_path: Path, decode: Callable[..., list[Decoded]]
):
    (decoded,) = decode(save(tmp_path, png()[0], "application/x-www-form-urlencoded"))

    assert decoded.warnings == ()
