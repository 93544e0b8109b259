"""Starts and stops what answers predictions, with the application."""

from fastapi import FastAPI

from service.resources import Resources
from service.segmentation.desk import SegmentationDesk


async def start_segmentation(app: FastAPI, resources: Resources) -> None:
    """Put a running `SegmentationDesk` at `app.state.segmentation`."""
    desk = SegmentationDesk(resources)
    desk.start()
    app.state.segmentation = desk


async def stop_segmentation(app: FastAPI) -> None:
    """Stop it; requests that still wait are told to come again."""
    await app.state.segmentation.stop()
