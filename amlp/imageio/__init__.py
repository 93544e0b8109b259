"""Files to images, masks to label maps, folders to data sets; everything here is torch-free."""

from amlp.imageio.assembly import assemble_manifest
from amlp.imageio.canonicalise import (
    CanonicaliseJob,
    CanonicaliseResult,
    canonicalise,
    check_same_grid,
)
from amlp.imageio.folder import read_folder
from amlp.imageio.image import MedicalImage, is_grey
from amlp.imageio.isolation import IsolatedReader, ProcessLimits, canonicalise_files
from amlp.imageio.limits import ImageLimits
from amlp.imageio.masks import LabelMap, read_label_map
from amlp.imageio.overlay import draw_overlay, thumbnail, to_display
from amlp.imageio.pairing import Issue, ManifestRow, PairedCase, pair_cases, parse_manifest_csv
from amlp.imageio.reader import read_image
from amlp.imageio.sniff import ImageFormat, detect_format
from amlp.imageio.writer import write_canonical, write_label_map

__all__ = [
    "CanonicaliseJob",
    "CanonicaliseResult",
    "ImageFormat",
    "ImageLimits",
    "IsolatedReader",
    "Issue",
    "LabelMap",
    "ManifestRow",
    "MedicalImage",
    "PairedCase",
    "ProcessLimits",
    "assemble_manifest",
    "canonicalise",
    "canonicalise_files",
    "check_same_grid",
    "detect_format",
    "draw_overlay",
    "is_grey",
    "pair_cases",
    "parse_manifest_csv",
    "read_folder",
    "read_image",
    "read_label_map",
    "thumbnail",
    "to_display",
    "write_canonical",
    "write_label_map",
]
