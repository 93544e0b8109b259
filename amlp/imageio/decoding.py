"""The border to foreign decoders: whatever they raise on hostile bytes leaves here typed."""

import errno
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amlp.errors import AmlpError, ImageTooLarge, StorageFull, UnreadableImage

# What Pillow, pydicom, nibabel and their codecs were seen to raise on damaged bytes.
_DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@contextmanager
def decoding(what: str) -> Iterator[list[warnings.WarningMessage]]:
    """Turn every failure of a foreign decoder into a typed error that quotes nothing of the file.

    Args:
        what: the thing that is being decoded, for the message.

    Yields:
        The decoder's own warnings, collected instead of shown.

    Raises:
        UnreadableImage: the decoder failed.
        ImageTooLarge: it ran out of memory.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield caught
    except AmlpError:
        raise
    except MemoryError as error:
        raise ImageTooLarge(f"{what} needs more memory than a decoder may use") from error
    except _DECODER_ERRORS as error:
        raise UnreadableImage(f"{what} cannot be decoded: damaged or cut short") from error


def require_finite(pixels: NDArray[np.generic]) -> None:
    """Refuse pixels that are not numbers.

    Raises:
        UnreadableImage: some are NaN or infinite.
    """
    if pixels.dtype.kind != "f":
        return
    num_bad = pixels.size - int(np.count_nonzero(np.isfinite(pixels)))
    if num_bad:
        raise UnreadableImage(
            f"{num_bad} of {pixels.size} pixels are NaN or infinite, expected finite values"
        )


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a full disk into its typed error.

    Raises:
        StorageFull: no space or quota left in `folder`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"no space left in the folder {folder.name}") from error
        raise
