"""Sheets of pictures: rows of tiles under column titles, as PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Tile = NDArray[np.uint8]
"""One picture, (y, x, 3) RGB."""

_TILE = 192
_GAP = 8
_TITLE = 34
_PAPER = (255, 255, 255)
_INK = (32, 36, 42)
_SOFT_INK = (110, 118, 128)


def write_sheet(
    path: Path,
    rows: Sequence[Sequence[Tile]],
    *,
    titles: Sequence[str],
    captions: Sequence[str] = (),
) -> None:
    """Write tiles as a sheet; `titles` head the columns, `captions` stand under the rows."""
    caption = 22 if captions else 0
    width = _GAP + len(titles) * (_TILE + _GAP)
    height = _TITLE + len(rows) * (_TILE + _GAP + caption) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        centre = _GAP + column * (_TILE + _GAP) + _TILE // 2
        draw.text((centre, _TITLE // 2), title, _INK, ImageFont.load_default(15), anchor="mm")
    for number, row in enumerate(rows):
        top = _TITLE + number * (_TILE + _GAP + caption)
        for column, tile in enumerate(row):
            sheet.paste(_fitted(tile), (_GAP + column * (_TILE + _GAP), top))
        if captions:
            place = (_GAP, top + _TILE + 4)
            draw.text(place, captions[number], _SOFT_INK, ImageFont.load_default(13))
    sheet.save(path)


def display_tile(pixels: NDArray[np.float32], *, window: tuple[float, float]) -> Tile:
    """Return (c, y, x) pixels as RGB: three channels as colours, otherwise the first as grey."""
    low, high = window
    share = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1)
    shown = share if len(share) == 3 else np.repeat(share[:1], 3, axis=0)
    return np.round(255 * shown.transpose(1, 2, 0)).astype(np.uint8)


def tint(tile: Tile, where: NDArray[np.bool_], colour: tuple[int, int, int], alpha: float) -> Tile:
    """Return the tile with `colour` laid over the pixels `where` (y, x)."""
    share = (alpha * where)[..., None]
    tinted: Tile = np.round(tile * (1 - share) + np.array(colour) * share).astype(np.uint8)
    return tinted


def heat_tile(values: NDArray[np.float32], *, highest: float) -> Tile:
    """Return (y, x) values from 0 (black) over red and yellow to `highest` (white)."""
    share = np.clip(values / max(highest, 1e-12), 0, 1)
    channels = [np.clip(3 * share - offset, 0, 1) for offset in range(3)]
    return np.round(255 * np.stack(channels, -1)).astype(np.uint8)


def histogram_tile(values: Sequence[float], *, bins: int = 10) -> Tile:
    """Return a histogram of values in [0, 1] as one tile."""
    counts, _ = np.histogram(values, bins=bins, range=(0, 1))
    tile = Image.new("RGB", (_TILE, _TILE), _PAPER)
    draw = ImageDraw.Draw(tile)
    font = ImageFont.load_default(11)
    floor, room, step = _TILE - 20, _TILE - 40, (_TILE - 8) / bins
    for index, count in enumerate(counts.tolist()):
        left = 4 + index * step
        top = floor - room * count / max(1, int(counts.max()))
        draw.rectangle((left + 1, top, left + step - 2, floor), fill=(0, 114, 178))
        if count:
            draw.text((left + step / 2, top - 2), str(count), _INK, font, anchor="mb")
    draw.line((4, floor, _TILE - 4, floor), _INK)
    for label, place, anchor in (("0", 4, "lt"), ("0.5", _TILE / 2, "mt"), ("1", _TILE - 4, "rt")):
        draw.text((place, floor + 4), label, _SOFT_INK, font, anchor=anchor)
    return np.asarray(tile)


def _fitted(tile: Tile) -> Image.Image:
    """Return the tile centred on a square, its aspect kept."""
    picture = Image.fromarray(tile)
    scale = _TILE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    sampling = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.BILINEAR
    square = Image.new("RGB", (_TILE, _TILE), (0, 0, 0))
    square.paste(picture.resize(size, sampling), ((_TILE - size[0]) // 2, (_TILE - size[1]) // 2))
    return square
