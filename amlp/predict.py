"""Verb 4: images in, label maps and overlays out."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from amlp.checkpoint import find_checkpoint
from amlp.engine import RunResult
from amlp.errors import Cancelled, ConfigError
from amlp.events import CaseEvaluated, Listener, SilentListener
from amlp.imageio import LabelMap, MedicalImage, draw_overlay, read_image, write_label_map
from amlp.inference import Prediction, Predictor


def predict(
    model: Path, images: Sequence[Path], out: Path, listener: Listener | None = None
) -> RunResult:
    """Segment image files; write a label map on each one's own grid, and an overlay, into `out`.

    Args:
        model: a segmenter's checkpoint, or a run folder.
        images: files of any accepted format; their stems name the results.
        out: folder of the results.
        listener: hears of every image done.

    Raises:
        ConfigError: two images have the same stem.
        UnreadableImage: a file cannot be decoded.
        GeometryMismatch: an image has another number of channels than the segmenter.
        CheckpointError: the checkpoint is damaged, or no segmenter.
        Cancelled: the listener asked to stop.
    """
    listener = listener or SilentListener()
    stems = [path.name.split(".")[0] for path in images]
    if repeated := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise ConfigError(f"images share the stem {repeated[0]}, expected one image a stem")
    predictor = Predictor.load(find_checkpoint(model))
    out.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    for done, (stem, path) in enumerate(zip(stems, images, strict=True), start=1):
        if listener.should_stop():
            raise Cancelled(f"stopped after {done - 1} of {len(images)} images as asked")
        image = read_image(path)
        prediction = predictor.predict([image])[0]
        files |= _write(image, prediction, out, stem)
        share = float((prediction.label_map > 0).mean())
        listener.on_event(CaseEvaluated(done, len(images), {"lesion_share": share}))
    return RunResult(None, {}, files)


def _write(image: MedicalImage, prediction: Prediction, out: Path, stem: str) -> dict[str, Path]:
    label_map = LabelMap(prediction.label_map, spacing_mm=image.spacing_mm, affine=image.affine)
    written = write_label_map(label_map, out, stem)
    number = int((prediction.label_map > 0).sum((1, 2)).argmax())
    overlay = draw_overlay(image.pixels[:, number], prediction.label_map[number])
    overlay_path = out / f"{stem}-overlay.png"
    Image.fromarray(overlay).save(overlay_path)
    return {stem: written, f"{stem}/overlay": overlay_path}
