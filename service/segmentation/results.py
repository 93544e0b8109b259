"""What a finished prediction says, as JSON."""

from collections.abc import Collection
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from amlp.imageio.image import MedicalImage
from service.models.tables import ModelVersion
from service.segmentation.outlines import encode_rle, trace_polygons
from service.segmentation.regions import Region, measure_regions
from service.segmentation.schemas import (
    Component,
    Geometry,
    Include,
    Lineage,
    Segmentation,
    SegmentedClass,
    SegmentedInput,
    SegmentingModel,
    SlicePolygon,
    SliceRle,
    Timings,
)


@dataclass(frozen=True)
class StageSeconds:
    """Seconds each stage before encoding took."""

    receive: float
    decode: float
    queue: float
    forward: float


@dataclass(frozen=True)
class Finished:
    """A prediction with all that its answer tells.

    Attributes:
        segmentation_id: names this answer in logs.
        version: the model version that predicted.
        image: the input.
        image_format: its detected format.
        label_map: (z, y, x).
        probabilities: (k, z, y, x).
        label_names: name of each label value, from 0.
        threshold: as asked for.
        seconds: what the stages took.
        warnings: about the request; those of the image are its own.
    """

    segmentation_id: str
    version: ModelVersion
    image: MedicalImage
    image_format: str
    label_map: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    label_names: tuple[str, ...]
    threshold: float | None
    seconds: StageSeconds
    warnings: tuple[str, ...]


def label_pixels(probabilities: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """Return the (z, y, x) label map at a threshold.

    A pixel gets the most probable class that is not background, if that reaches the threshold.

    Args:
        probabilities: (k, z, y, x), background first.
        threshold: above 0 and below 1.
    """
    foreground = probabilities[1:]
    winner = (foreground.argmax(axis=0) + 1).astype(np.uint8)
    return np.where(foreground.max(axis=0) >= threshold, winner, np.uint8(0))


def describe(finished: Finished, include: Collection[Include]) -> Segmentation:
    """Return the JSON form; `encode` is 0 until the caller knows it."""
    image, version = finished.image, finished.version
    return Segmentation(
        segmentation_id=finished.segmentation_id,
        model=SegmentingModel(
            id=version.id, name=version.name, version=version.number, sha256=version.sha256
        ),
        input=SegmentedInput(
            format=finished.image_format,
            size=image.size,
            slices=image.num_slices,
            channels=image.channels,
            lossy_input=_is_lossy(finished.image_format),
        ),
        geometry=Geometry(
            spacing_mm=image.spacing_mm,
            affine=None if image.affine is None else image.affine.tolist(),
        ),
        threshold=finished.threshold,
        classes=[
            _describe_class(finished, label, include)
            for label in range(1, len(finished.label_names))
        ],
        timings_s=Timings(**asdict(finished.seconds), encode=0.0),
        lineage=Lineage(
            job_id=version.job_id,
            dataset_digest=version.dataset_digest,
            checkpoint_sha256=version.sha256,
        ),
        warnings=[*image.warnings, *finished.warnings],
    )


def _is_lossy(image_format: str) -> bool | None:
    match image_format:
        case "jpeg":
            return True
        case "dicom" | "tiff":
            return None  # both may hold JPEG
        case _:
            return False


def _describe_class(finished: Finished, label: int, include: Collection[Include]) -> SegmentedClass:
    mask = finished.label_map == label
    spacing = finished.image.spacing_mm
    count, regions = measure_regions(mask, finished.probabilities[label], spacing)
    size = _Size(spacing, is_volume=finished.image.num_slices > 1)
    pixels = int(mask.sum())
    return SegmentedClass(
        id=label,
        name=finished.label_names[label],
        pixels=pixels,
        area_mm2=size.area_mm2(pixels),
        volume_mm3=size.volume_mm3(pixels),
        num_components=count,
        components=[_component(rank, region, size) for rank, region in enumerate(regions, start=1)],
        coco_rle=_rle(mask) if "coco_rle" in include else None,
        polygons=_polygons(mask) if "polygons" in include else None,
    )


@dataclass(frozen=True)
class _Size:
    spacing_mm: tuple[float, float, float] | None
    is_volume: bool

    def area_mm2(self, pixels: int) -> float | None:
        if self.spacing_mm is None or self.is_volume:
            return None
        return pixels * self.spacing_mm[1] * self.spacing_mm[2]

    def volume_mm3(self, pixels: int) -> float | None:
        if self.spacing_mm is None or not self.is_volume:
            return None
        return pixels * self.spacing_mm[0] * self.spacing_mm[1] * self.spacing_mm[2]


def _component(rank: int, region: Region, size: _Size) -> Component:
    return Component(
        id=rank,
        bbox=list(region.bbox),
        area_pixels=region.pixels,
        area_mm2=size.area_mm2(region.pixels),
        volume_mm3=size.volume_mm3(region.pixels),
        centroid=list(region.centroid),
        mean_probability=min(max(region.mean_probability, 0.0), 1.0),
        longest_diameter_px=region.diameters_px.longest,
        perpendicular_diameter_px=region.diameters_px.perpendicular,
        longest_diameter_mm=region.diameters_mm and region.diameters_mm.longest,
        perpendicular_diameter_mm=region.diameters_mm and region.diameters_mm.perpendicular,
    )


def _rle(mask: NDArray[np.bool_]) -> list[SliceRle]:
    encoded = (encode_rle(plane) for plane in mask)
    return [
        SliceRle(slice=index, size=size, counts=counts)
        for index, (size, counts) in enumerate(encoded)
    ]


def _polygons(mask: NDArray[np.bool_]) -> list[SlicePolygon]:
    return [
        SlicePolygon(slice=index, exterior=polygon.exterior, holes=polygon.holes)
        for index, plane in enumerate(mask)
        for polygon in trace_polygons(plane)
    ]
