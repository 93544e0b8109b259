"""Images from untrusted bytes: the formats are decoded in limited processes, never in this one."""

import asyncio
import math
import os
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from amlp.errors import UnsupportedImage
from amlp.imageio.canonicalise import CanonicaliseJob
from amlp.imageio.image import MedicalImage
from amlp.imageio.isolation import IsolatedReader, ProcessLimits
from amlp.imageio.limits import ImageLimits
from amlp.imageio.reader import read_image, sniff_file
from amlp.imageio.sniff import ImageFormat
from service.errors import UnsupportedMediaType
from service.segmentation.receiving import Received
from service.settings import Settings

_MAX_READERS = 4
_DECLARED = {
    "image/png": ImageFormat.PNG,
    "image/jpeg": ImageFormat.JPEG,
    "image/tiff": ImageFormat.TIFF,
    "image/bmp": ImageFormat.BMP,
    "application/dicom": ImageFormat.DICOM,
    "application/vnd.nifti": ImageFormat.NIFTI,
    "application/gzip": ImageFormat.NIFTI,
}
MEDIA_TYPES = tuple(_DECLARED)


@dataclass(frozen=True)
class Decoded:
    """An image with the format its bytes have.

    Attributes:
        image: what was read.
        image_format: what was detected, whatever the client declared.
        warnings: about the declaration.
    """

    image: MedicalImage
    image_format: ImageFormat
    warnings: tuple[str, ...]


class Decoder:
    """A few decoding processes that stay warm: starting one costs more than most images."""

    def __init__(self, settings: Settings) -> None:
        count = min(_MAX_READERS, os.cpu_count() or 1)
        limits = ImageLimits(max_file_bytes=settings.max_image_bytes)
        process = ProcessLimits(
            memory_bytes=settings.decode_memory_bytes,
            cpu_seconds=math.ceil(settings.decode_seconds),
            wall_seconds=settings.decode_seconds,
        )
        self._readers = [IsolatedReader(limits=limits, process=process) for _ in range(count)]
        self._idle = list(self._readers)
        self._slots = asyncio.Semaphore(count)

    async def decode(self, received: Received) -> Decoded:
        """Return the image of a received file.

        Raises:
            UnsupportedMediaType: a kind of file that is not accepted; the problem names what it is.
            UnreadableImage: it cannot be decoded, or above a limit.
        """
        await self._slots.acquire()
        reader = self._idle.pop()  # the warmest
        work = asyncio.create_task(asyncio.to_thread(_decode, reader, received))
        # a withdrawn request leaves its reader at work: it is free only when it has finished
        work.add_done_callback(partial(self._give_back, reader))
        return await asyncio.shield(work)

    def close(self) -> None:
        """End the processes."""
        for reader in self._readers:
            reader.close()

    def _give_back(self, reader: IsolatedReader, work: asyncio.Task[Decoded]) -> None:
        if not work.cancelled():
            work.exception()  # seen, even if nobody waits for it any more
        self._idle.append(reader)
        self._slots.release()


def _decode(reader: IsolatedReader, received: Received) -> Decoded:
    try:
        image_format = sniff_file(received.path)
    except UnsupportedImage as error:
        raise UnsupportedMediaType(str(error), extra={"supported": list(MEDIA_TYPES)}) from error
    folder = received.path.parent
    result = reader.canonicalise(CanonicaliseJob(received.path, "image", "canonical"), folder)
    image = replace(
        read_image(folder / result.file),
        spacing_mm=result.spacing_mm,
        affine=None if result.affine is None else np.array(result.affine),
        warnings=result.warnings,
    )
    declared = _DECLARED.get(received.media_type, image_format)
    if declared is image_format:
        return Decoded(image, image_format, ())
    warning = f"declared as {received.media_type}, but the content is {image_format}"
    return Decoded(image, image_format, (warning,))
