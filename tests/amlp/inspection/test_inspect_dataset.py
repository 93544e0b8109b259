"""The verb, on phantoms."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from amlp.errors import Cancelled, ConfigError, EmptyDataset
from amlp.events import CaseEvaluated
from amlp.imageio import read_folder
from amlp.inspection import InspectionReport, inspect_dataset
from amlp.phantom import generate_phantoms
from tests.tiny_runs import Recorder, pretrain_config


def config(**values):
    return pretrain_config(image_size=64, patch_size=8, **values)


def raw_set(folder, draw, count=3):
    (folder / "images").mkdir(parents=True)
    for number in range(count):
        Image.fromarray(draw(number)).save(folder / "images" / f"{number}.png")
    return folder


def test_the_report_has_lift_beside_its_controls(phantoms, tmp_path) -> None:
    inspect_dataset(config(), phantoms, tmp_path)

    told = json.loads((tmp_path / "inspect.json").read_text())
    for ratio in ("0.25", "0.5"):
        lift = told["lift"][ratio]
        assert set(lift) == {"score", "label", "centre", "random", "oracle"}
        assert lift["oracle"] >= lift["score"] > lift["random"]


def test_the_file_is_the_report(phantoms, tmp_path) -> None:
    report = inspect_dataset(config(), phantoms, tmp_path)

    written = (tmp_path / "inspect.json").read_text()
    assert InspectionReport.model_validate_json(written) == report


def test_the_report_is_the_same_each_time(phantoms, tmp_path) -> None:
    reports = [inspect_dataset(config(), phantoms, tmp_path / name) for name in "ab"]

    assert reports[0] == reports[1]


def test_pages_show_as_many_images_as_asked_for(phantoms, tmp_path) -> None:
    recorder = Recorder()

    inspect_dataset(config(), phantoms, tmp_path, recorder, num_pictures=7)

    assert [path.name for path in sorted(tmp_path.glob("*.png"))] == [
        "inspect-01.png",
        "inspect-02.png",
    ]
    assert recorder.of(CaseEvaluated)[-1].done == 24


def test_a_set_without_masks_has_no_lift(tmp_path) -> None:
    raw = generate_phantoms(tmp_path / "raw", 6, size=48)
    shutil.rmtree(raw / "masks")

    report = inspect_dataset(config(), raw, tmp_path / "out")

    assert report.lift is None
    assert report.recall is None
    assert report.num_with_lesion == 0


def test_a_copy_in_another_split_is_a_finding(tmp_path) -> None:
    raw = generate_phantoms(tmp_path / "raw", 12, size=128)
    (raw / "manifest.csv").unlink()
    images = sorted((raw / "images").iterdir())
    Image.open(images[0]).resize((192, 192)).save(raw / "images" / "copy.png")
    read_folder(raw, tmp_path / "set", name="copies")
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    for case in manifest["cases"]:
        case["split"] = "test" if case["case_id"] == "copy" else "train"
    (tmp_path / "set" / "manifest.json").write_text(json.dumps(manifest))

    report = inspect_dataset(config(), tmp_path / "set", tmp_path / "out")

    assert [(pair.first, pair.second, pair.across_splits) for pair in report.near_duplicates] == [
        ("copy", images[0].stem, True)
    ]
    assert "data.duplicates-across-splits" in {finding.code for finding in report.findings}


def test_one_split_alone_can_be_inspected(phantoms, tmp_path) -> None:
    whole = inspect_dataset(config(), phantoms, tmp_path / "all")
    part = inspect_dataset(config(), phantoms, tmp_path / "test", split="test")

    assert 0 < part.num_images < whole.num_images


def test_the_centre_rule_is_found_to_add_nothing(phantoms, tmp_path) -> None:
    centred = config(masking={"clustering": {"rule": "centre"}})

    report = inspect_dataset(centred, phantoms, tmp_path)

    assert report.centre_correlation == pytest.approx(1)
    codes = {finding.code for finding in report.findings}
    assert {"selection.centre", "selection.control"} <= codes


def test_constant_images_are_refused_by_name_and_number(tmp_path) -> None:
    raw = raw_set(tmp_path / "raw", lambda number: np.full((40, 40), 50 + number, np.uint8))

    with pytest.raises(EmptyDataset, match="none of the 3 cases"):
        inspect_dataset(config(), raw, tmp_path / "out")


def test_a_strategy_without_clustering_is_refused(phantoms, tmp_path) -> None:
    with pytest.raises(ConfigError, match="random has no clustering"):
        inspect_dataset(config(preset="mae"), phantoms, tmp_path)


def test_it_stops_when_asked(phantoms, tmp_path) -> None:
    with pytest.raises(Cancelled, match="stopped after 2 of 24 cases"):
        inspect_dataset(config(), phantoms, tmp_path, Recorder(stop_at=2))
