"""Ultrasound-like pictures with lesions, made from nothing but a seed: data for tries and tests.

The picture is a map of echogenicity (skin, fat, gland, muscle, bright fibres, a lesion with shadow
or enhancement below it) seen through speckle, depth attenuation and log compression.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from amlp.errors import ConfigError
from amlp.manifest import assign_splits

_DYNAMIC_RANGE_DB = 55.0
_HEADROOM_DB = 14.0
_NUM_LOOKS = 2
_HEALTHY_FRACTION = 0.1
_SECOND_IMAGE_FRACTION = 0.25
# Mean echo amplitude of skin, fat, gland and muscle, and the depth at which each of them ends.
_LAYERS = ((0.9, 0.06), (0.22, 0.3), (0.5, 0.72), (0.3, 1.0))

_Map = NDArray[np.float64]


@dataclass(frozen=True)
class Phantom:
    """One picture and its truth, both (y, x): uint8 grey values, and True inside the lesion."""

    pixels: NDArray[np.uint8]
    lesion: NDArray[np.bool_]


def generate_phantoms(
    out: Path, count: int, *, size: int = 128, seed: int = 0, labelled_fraction: float = 1.0
) -> Path:
    """Write `images/`, `masks/` and `manifest.csv` of `count` phantoms and return the folder.

    About a tenth of them has no lesion (an empty mask), and some patients have two images. The same
    arguments give the same bytes.

    Args:
        out: folder, made if absent.
        count: number of images.
        size: height and width in pixels, 32 or more.
        seed: another seed gives other patients.
        labelled_fraction: share of the training patients that get masks; the others always do.

    Raises:
        ConfigError: an argument is out of range.
    """
    if count < 1 or size < 32 or not 0 <= labelled_fraction <= 1:
        raise ConfigError(
            f"{count} phantoms, size {size}, {labelled_fraction} labelled: expected 1+, 32+, 0 to 1"
        )
    rng = np.random.default_rng(seed)
    patients = _draw_patients(rng, count)
    splits = assign_splits(patients, seed=seed)
    training = sorted({patient for patient in patients if splits[patient] == "train"})
    unlabelled = set(rng.permutation(training)[round(labelled_fraction * len(training)) :].tolist())
    for folder in ("images", "masks"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    rows = []
    for index, patient in enumerate(patients):
        stem = f"phantom_{index:05d}"
        phantom = generate_phantom(np.random.default_rng((seed, index)), size)
        _write_png(out / "images" / f"{stem}.png", phantom.pixels)
        if patient not in unlabelled:
            _write_png(out / "masks" / f"{stem}.png", phantom.lesion.astype(np.uint8) * 255)
        rows.append((stem, splits[patient], patient))
    with (out / "manifest.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("stem", "split", "patient"), *rows])
    return out


def generate_phantom(rng: np.random.Generator, size: int) -> Phantom:
    """Draw one phantom of `size` x `size` pixels."""
    depth, lateral = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    echo = _tissue(rng, depth, lateral)
    echo += _fibres(rng, depth, lateral)
    has_lesion = rng.random() >= _HEALTHY_FRACTION
    radius = _lesion_radius(rng, depth, lateral) if has_lesion else np.full_like(depth, np.inf)
    echo *= _lesion_echo(rng, radius, size)
    echo *= _below(rng, radius < 1, size)
    amplitude = echo * np.exp(-rng.uniform(0.3, 1.6) * depth) * _speckle(rng, size)
    return Phantom(_log_compress(amplitude, gain_db=rng.uniform(-4, 4)), radius < 1)


def _draw_patients(rng: np.random.Generator, count: int) -> list[str]:
    starts_patient = rng.random(count) >= _SECOND_IMAGE_FRACTION
    # A third image of one patient starts the next: two is the most a patient has.
    for index in range(count):
        starts_patient[index] |= index == 0 or not starts_patient[index - 1]
    return [f"patient_{number:05d}" for number in np.cumsum(starts_patient) - 1]


def _tissue(rng: np.random.Generator, depth: _Map, lateral: _Map) -> _Map:
    """Return layers with wavy borders and patchy echogenicity."""
    size = depth.shape[0]
    echo = np.full_like(depth, _LAYERS[-1][0])
    for amplitude, mean_end in reversed(_LAYERS[:-1]):
        waviness = min(1.0, 5 * mean_end)
        end = mean_end * (1 + 0.2 * rng.normal()) + waviness * _wave(rng, lateral)
        echo[depth < end] = amplitude
    texture = gaussian_filter(rng.normal(size=depth.shape), (size / 40, size / 14), truncate=2)
    contrast = np.clip(1 + 0.35 * texture / texture.std(), 0.2, 2.5)
    tissue: _Map = gaussian_filter(echo, size / 160) * contrast
    return tissue


def _wave(rng: np.random.Generator, lateral: _Map) -> _Map:
    wave = np.zeros(lateral.shape[1])
    for k in (1, 2, 4):
        wave += rng.normal(0, 0.02 / k) * np.sin(np.pi * k * lateral[0] + rng.uniform(0, 6))
    return wave


def _fibres(rng: np.random.Generator, depth: _Map, lateral: _Map) -> _Map:
    """Return a few bright curved interfaces: as conspicuous as a lesion's border, and none."""
    echo: _Map = np.zeros_like(depth)
    for _ in range(rng.integers(3, 8)):
        centre, middle = rng.uniform(0.1, 0.95), rng.uniform(0, 1)
        curve = centre + _wave(rng, lateral) + rng.normal(0, 0.35) * (lateral - middle) ** 2
        thickness, extent = rng.uniform(0.004, 0.012), rng.uniform(0.08, 0.4)
        across = np.exp(-0.5 * ((depth - curve) / thickness) ** 2)
        along = np.exp(-0.5 * ((lateral - middle) / extent) ** 4)
        echo += rng.uniform(0.4, 1.4) * across * along
    return echo


def _lesion_radius(rng: np.random.Generator, depth: _Map, lateral: _Map) -> _Map:
    """Return the distance from the lesion's centre in units of its irregular border."""
    down, across = depth - rng.uniform(0.3, 0.68), lateral - rng.uniform(0.25, 0.75)
    tilt, half_width = rng.normal(0, 0.35), rng.uniform(0.06, 0.2)
    aspect = rng.uniform(0.55, 1.1)
    u = (across * np.cos(tilt) + down * np.sin(tilt)) / half_width
    v = (down * np.cos(tilt) - across * np.sin(tilt)) / (half_width * aspect)
    angle, roughness = np.arctan2(v, u), rng.uniform(0.02, 0.16)
    border = np.ones_like(depth)
    for k in range(2, 8):
        border += rng.normal(0, roughness / np.sqrt(k)) * np.cos(k * angle + rng.uniform(0, 6))
    radius: _Map = np.hypot(u, v) / np.clip(border, 0.5, 1.6)
    return radius


def _lesion_echo(rng: np.random.Generator, radius: _Map, size: int) -> _Map:
    """Return the factor that darkens the lesion and brightens its rim."""
    darkness, softness = rng.uniform(0.06, 0.3), rng.uniform(0.03, 0.1)
    inside = 1 / (1 + np.exp(np.clip((radius - 1) / softness, -50, 50)))
    patchy = gaussian_filter(rng.normal(size=(size, size)), size / 24)
    content = darkness * np.clip(1 + 0.5 * patchy / patchy.std(), 0.3, 2)
    rim = rng.uniform(0, 0.7) * np.exp(-0.5 * ((radius - 1.12) / 0.06) ** 2)
    factor: _Map = inside * content + (1 - inside) + rim
    return factor


def _below(rng: np.random.Generator, lesion: NDArray[np.bool_], size: int) -> _Map:
    """Return the factor of shadow or enhancement behind the lesion."""
    passed = np.cumsum(lesion, axis=0) * ~lesion / max(int(lesion.sum(axis=0).max()), 1)
    soft = gaussian_filter1d(passed, size / 50, axis=1)
    strength = rng.uniform(0.2, 0.8) if rng.random() < 0.5 else -rng.uniform(0.3, 0.75)
    factor: _Map = 1 + strength * soft
    return factor


def _speckle(rng: np.random.Generator, size: int) -> _Map:
    """Return Rayleigh speckle of mean 1, compounded, longer across the beam than along it."""
    scatter = rng.normal(size=(2, _NUM_LOOKS, size, size))
    width = (0, 0, max(size / 260, 0.4), max(size / 110, 0.8))
    field = gaussian_filter(scatter, width, truncate=3)
    amplitude: _Map = np.hypot(field[0], field[1]).mean(0)
    amplitude /= amplitude.mean()
    return amplitude


def _log_compress(amplitude: _Map, *, gain_db: float) -> NDArray[np.uint8]:
    decibel: _Map = 20 * np.log10(np.maximum(amplitude, 1e-6)) + gain_db
    grey: _Map = 255 * np.clip(
        (decibel + _DYNAMIC_RANGE_DB - _HEADROOM_DB) / _DYNAMIC_RANGE_DB, 0, 1
    )
    return grey.round().astype(np.uint8)


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray(pixels).save(path, compress_level=1)
