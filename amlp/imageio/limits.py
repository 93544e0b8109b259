"""What an image may cost: every limit is checked from headers, before pixels are decoded."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

from amlp.errors import ImageTooLarge, UnreadableImage

_MIB = 1024 * 1024
_ALWAYS_INFLATED_BYTES = 64 * _MIB


@dataclass(frozen=True)
class ImageLimits:
    """Upper bounds of one image file.

    Attributes:
        max_file_bytes: size of the file as it came.
        max_pixels: height x width of one frame or slice.
        max_frames: frames or slices of one file.
        max_decoded_bytes: all pixels together, as stored, and anything inflated.
        max_inflation_ratio: inflated over deflated bytes, above 64 MiB inflated.
        max_metadata_bytes: profiles, EXIF and text of a picture.
        max_elements: data elements of a DICOM file.
        max_nesting: depth of DICOM sequences.
        min_side: shortest side in pixels; a single line of pixels is no picture.
        max_aspect: longest over shortest side.
    """

    max_file_bytes: int = 2048 * _MIB
    max_pixels: int = 64_000_000
    max_frames: int = 4096
    max_decoded_bytes: int = 2048 * _MIB
    max_inflation_ratio: int = 200
    max_metadata_bytes: int = _MIB
    max_elements: int = 500_000
    max_nesting: int = 32
    min_side: int = 2
    max_aspect: int = 100

    def check_grid(self, height: int, width: int, *, frames: int = 1, pixel_bytes: int = 1) -> None:
        """Refuse a grid that is empty, a line, or above a limit.

        Args:
            height: rows the header declares.
            width: columns the header declares.
            frames: frames or slices the header declares.
            pixel_bytes: bytes of one pixel with all its channels.

        Raises:
            ImageTooLarge: above a limit.
            UnreadableImage: no image at all.
        """
        size = f"{height} x {width} pixels"
        if min(height, width, frames) < 1 or min(height, width) < self.min_side:
            raise UnreadableImage(
                f"image of {size} and {frames} frames, expected sides of {self.min_side} or more"
            )
        if height * width > self.max_pixels:
            raise ImageTooLarge(f"image of {size}, expected {self.max_pixels} in all at most")
        if max(height, width) > self.max_aspect * min(height, width):
            raise UnreadableImage(
                f"image of {size}, expected a longest side of at most {self.max_aspect} times "
                "the shortest"
            )
        if frames > self.max_frames:
            raise ImageTooLarge(f"image of {frames} frames, expected {self.max_frames} at most")
        decoded = prod((height, width, frames, pixel_bytes))
        if decoded > self.max_decoded_bytes:
            raise ImageTooLarge(
                f"image of {decoded} bytes decoded, expected {self.max_decoded_bytes} at most"
            )

    def check_inflation(self, deflated: int, inflated: int) -> None:
        """Refuse compressed data that grow beyond reason.

        Raises:
            ImageTooLarge: above the byte limit, or above the ratio limit and 64 MiB.
        """
        if inflated > self.max_decoded_bytes:
            raise ImageTooLarge(
                f"compressed data inflate to more than {self.max_decoded_bytes} bytes"
            )
        if inflated > max(_ALWAYS_INFLATED_BYTES, deflated * self.max_inflation_ratio):
            raise ImageTooLarge(
                f"{deflated} compressed bytes inflate to {inflated}, expected at most "
                f"{self.max_inflation_ratio} times as many"
            )


def read_bytes(path: Path, limits: ImageLimits) -> bytes:
    """Return the content of a file.

    Raises:
        ImageTooLarge: the file is above the limit.
        UnreadableImage: the file is empty.
    """
    size = path.stat().st_size
    if size > limits.max_file_bytes:
        raise ImageTooLarge(f"file of {size} bytes, expected {limits.max_file_bytes} at most")
    if size == 0:
        raise UnreadableImage("file is empty")
    return path.read_bytes()
