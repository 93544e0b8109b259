"""NIfTI-1 and NIfTI-2, plain or gzipped: header first, then exactly the bytes it declares.

The stored voxel order is kept: (x, y, z) becomes pixels (c, z, y, x), and the affine says where
they are, so a label map written with the same affine lands on the same grid. A fourth axis of up to
64 samples is read as channels.
"""

import zlib
from pathlib import Path
from typing import Any, TypeAlias

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from amlp.errors import UnreadableImage, UnsupportedImage
from amlp.imageio.decoding import decoding, require_finite
from amlp.imageio.image import MedicalImage
from amlp.imageio.limits import ImageLimits, read_bytes

_MAX_CHANNELS = 64
_HEADER_BYTES = 540
_MAX_PADDING_BYTES = 1024 * 1024
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}

# nibabel is untyped: a header maps field names to NumPy scalars and arrays.
_Header: TypeAlias = Any


def read_nifti(path: Path, limits: ImageLimits) -> MedicalImage:
    """Read a volume as (c, z, y, x): uint8 when stored so and unscaled, float32 otherwise.

    Raises:
        UnreadableImage: header or data are damaged, contradict each other, or are not finite.
        UnsupportedImage: complex or colour voxels, or more than four axes.
        ImageTooLarge: above a limit.
    """
    data = read_bytes(path, limits)
    is_deflated = data.startswith(b"\x1f\x8b")
    with decoding("NIfTI"):
        header = _read_header(_inflate_head(data) if is_deflated else data)
        shape = _grid(header)
        dtype = _voxel_type(header)
        limits.check_grid(
            shape[1], shape[0], frames=shape[2], pixel_bytes=dtype.itemsize * shape[3]
        )
        offset, num_voxels = _offset(header), int(np.prod(shape, dtype=object))
        end = offset + num_voxels * dtype.itemsize
        if is_deflated:
            limits.check_inflation(len(data), end)
            data = _inflate(data, end)
        if len(data) < end:
            raise UnreadableImage(f"NIfTI ends after {len(data)} bytes, expected {end}")
        stored = np.frombuffer(data, dtype, num_voxels, offset).reshape(shape, order="F")
        pixels = np.ascontiguousarray(_scale(stored, header).transpose(3, 2, 1, 0))
        affine, spacing, notes = _placement(header)
    require_finite(pixels)
    return MedicalImage(pixels, spacing_mm=spacing, affine=affine, warnings=notes)


def _inflate_head(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(data, _HEADER_BYTES)


def _inflate(data: bytes, num_bytes: int) -> bytes:
    """Return the `num_bytes` bytes of a whole gzip stream, or fewer where it ends before."""
    stream = zlib.decompressobj(wbits=31)
    inflated = stream.decompress(data, num_bytes)
    if len(inflated) < num_bytes:
        return inflated
    padding = stream.decompress(stream.unconsumed_tail, _MAX_PADDING_BYTES)
    if padding.strip(b"\0") or len(padding) == _MAX_PADDING_BYTES:
        raise UnreadableImage(f"NIfTI goes on after its {num_bytes} bytes")
    if not stream.eof:
        raise UnreadableImage("gzip stream ends before its checksum")
    if stream.unused_data.strip(b"\0"):
        raise UnreadableImage("gzip stream is followed by further data")
    return inflated


def _read_header(head: bytes) -> _Header:
    kind = nib.Nifti2Header if head[4:7] == b"n+2" else nib.Nifti1Header
    if len(head) < kind.sizeof_hdr:
        raise UnreadableImage(f"NIfTI header of {len(head)} bytes, expected {kind.sizeof_hdr}")
    return kind(head[: kind.sizeof_hdr], check=False)


def _grid(header: _Header) -> tuple[int, int, int, int]:
    """Return (x, y, z, c) as plain integers."""
    num_axes, *lengths = (int(length) for length in header["dim"])
    if not 2 <= num_axes <= 7 or min(lengths[:num_axes]) < 1:
        raise UnreadableImage(f"NIfTI dim is {[num_axes, *lengths]}, expected positive lengths")
    lengths = [*lengths[:num_axes], 1, 1][: max(num_axes, 4)]
    if any(length > 1 for length in lengths[4:]) or lengths[3] > _MAX_CHANNELS:
        raise UnsupportedImage(
            f"NIfTI of shape {tuple(lengths)}, expected (x, y, z) or (x, y, z, c) with c of "
            f"{_MAX_CHANNELS} at most"
        )
    return lengths[0], lengths[1], lengths[2], lengths[3]


def _voxel_type(header: _Header) -> np.dtype[np.generic]:
    try:
        dtype: np.dtype[np.generic] = header.get_data_dtype()
    except (KeyError, HeaderDataError) as error:
        raise UnreadableImage(f"NIfTI datatype {int(header['datatype'])} is not defined") from error
    if dtype.kind not in "iuf" or not 1 <= dtype.itemsize <= 8:
        raise UnsupportedImage(
            f"NIfTI datatype {int(header['datatype'])} ({dtype}), expected integers or floats"
        )
    return dtype


def _offset(header: _Header) -> int:
    offset = float(header["vox_offset"])
    if not np.isfinite(offset) or offset < 0:
        raise UnreadableImage(f"NIfTI vox_offset is {offset}, expected 0 or more")
    return max(int(offset), int(header.single_vox_offset))


def _scale(stored: NDArray[np.generic], header: _Header) -> NDArray[np.generic]:
    slope, intercept = (float(header[name]) for name in ("scl_slope", "scl_inter"))
    has_slope = slope != 0 and np.isfinite(slope)
    if np.isinf(slope) or (has_slope and not np.isfinite(intercept)):
        raise UnreadableImage(f"NIfTI scaling is {slope} and {intercept}, expected finite numbers")
    if has_slope and (slope, intercept) != (1.0, 0.0):
        return (stored.astype(np.float64) * slope + intercept).astype(np.float32)
    return stored if stored.dtype == np.uint8 else stored.astype(np.float32)


def _placement(
    header: _Header,
) -> tuple[NDArray[np.float64] | None, tuple[float, float, float] | None, tuple[str, ...]]:
    """Return affine and (z, y, x) spacing in mm, None where the header does not give them."""
    mm = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    has_affine = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    if not np.isfinite(affine).all():
        raise UnreadableImage("NIfTI affine holds NaN or infinite values")
    affine[:3] *= mm
    x, y, z = (float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
    if abs(np.linalg.det(affine[:3, :3])) <= 1e-6 * x * y * z:
        return None, None, ("affine is singular: spacing and position are unknown",)
    if has_affine:
        return affine, (z, y, x), ()
    is_unset = int(header["xyzt_units"]) & 7 == 0 and x == y == z == 1.0
    return None, None if is_unset else (z, y, x), ()
