"""Near-duplicates and patients that more than one split holds: both make a test score a lie."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from amlp.imageio import to_display
from amlp.manifest import Case

SIDE = 48
"""Side of the thumbnails that are compared, pixels."""

MIN_CORRELATION = 0.98
"""Of two thumbnails, from which on they are one picture."""

_HASH_SIDE = 8
_MAX_DISTANCE = 16  # of 63 bits; the correlation decides, so candidates may be many
_BLOCK = 1024


class Pair(NamedTuple):
    """Positions of two near-duplicates, first < second, and the correlation of their thumbnails."""

    first: int
    second: int
    correlation: float


def thumbnail_of(
    pixels: Shaped[NDArray[np.generic], "c y x"],
) -> Float[NDArray[np.float32], "48 48"]:
    """Return the mean over channels, squeezed to `SIDE` x `SIDE`, with mean 0 and norm 1.

    A constant image becomes 0, which correlates with nothing.
    """
    picture = Image.fromarray(to_display(pixels).mean(0).astype(np.float32))
    small = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    centred = small - small.mean()
    norm = float(np.linalg.norm(centred))
    result: NDArray[np.float32] = centred / norm if norm > SIDE * 1e-3 else np.zeros_like(small)
    return result


def perceptual_hashes(
    thumbnails: Float[NDArray[np.float32], "n 48 48"],
) -> Bool[NDArray[np.bool_], "n 63"]:
    """Return which of the 63 lowest frequencies but the mean are above their image's median.

    Source: the DCT hash of Zauner 2010, as in pHash.
    """
    spectrum = dctn(thumbnails, axes=(1, 2), norm="ortho")[:, :_HASH_SIDE, :_HASH_SIDE]
    low = spectrum.reshape(len(thumbnails), -1)[:, 1:]
    above: NDArray[np.bool_] = low > np.median(low, axis=1, keepdims=True)
    return above


def near_duplicates(
    thumbnails: Float[NDArray[np.float32], "n 48 48"], *, min_correlation: float = MIN_CORRELATION
) -> list[Pair]:
    """Return all pairs of alike hashes whose thumbnails correlate by at least `min_correlation`."""
    signs = np.where(perceptual_hashes(thumbnails), 1, -1).astype(np.float32)
    flat = thumbnails.reshape(len(thumbnails), -1)
    bits = signs.shape[1]
    pairs: list[Pair] = []
    for start in range(0, len(flat), _BLOCK):  # blocks, so that memory grows with n only
        distance = (bits - signs[start : start + _BLOCK] @ signs.T) / 2
        rows, columns = np.nonzero(distance <= _MAX_DISTANCE)
        rows += start
        later = columns > rows
        rows, columns = rows[later], columns[later]
        alike = np.einsum("pi,pi->p", flat[rows], flat[columns])
        kept = alike >= min_correlation
        pairs += map(Pair, rows[kept].tolist(), columns[kept].tolist(), alike[kept].tolist())
    return pairs


def patients_across_splits(cases: Sequence[Case]) -> list[str]:
    """Return the patients with cases in more than one split, sorted."""
    splits: dict[str, set[str]] = {}
    for case in cases:
        splits.setdefault(case.patient, set()).add(case.split)
    return sorted(patient for patient, found in splits.items() if len(found) > 1)
