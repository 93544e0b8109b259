"""What a request may ask for, checked against its data set and models."""

from collections.abc import Callable
from typing import Any

import pytest

from service.errors import NotFound, Unprocessable
from service.jobs.lifecycle import NewJob
from service.jobs.schemas import JobRequest
from service.jobs.submission import Submitter, fingerprint, resolve_request
from service.resources import Resources

Resolve = Callable[..., NewJob]
Add = Callable[..., str]


@pytest.fixture
def resolve(resources: Resources) -> Resolve:
    def do(**request: Any) -> NewJob:
        submitter = Submitter("default", None, 3)
        with resources.database.read() as session:
            return resolve_request(session, JobRequest(**request), submitter)

    return do


def test_pretraining_is_named_after_its_data_set(
    resources: Resources, add_version: Add, resolve: Resolve
) -> None:
    version = add_version(resources)

    new = resolve(kind="pretrain", dataset_version=version)

    assert new.spec["model"] == "skin-2026-pretrain"
    assert new.dataset_version_id == version
    assert new.spec["config"]["image_size"] == 224


def test_wrong_config_names_every_fault_by_its_place_in_the_request(
    resources: Resources, add_version: Add, resolve: Resolve
) -> None:
    version = add_version(resources)
    config = {
        "optimizer": {"lr": -1.0},
        "masking": {
            "strategy": "masked_patch_selection",
            "selection": {"mode": "hard", "alhpa": 1},
        },
        "epochs": 3,
    }

    with pytest.raises(Unprocessable) as caught:
        resolve(kind="pretrain", dataset_version=version, config=config)

    assert {fault.pointer for fault in caught.value.faults} == {
        "/config/optimizer/lr",
        "/config/masking/selection/alhpa",
        "/config/epochs",
    }


def test_config_of_another_kind_is_refused(
    resources: Resources, add_version: Add, resolve: Resolve
) -> None:
    version = add_version(resources)

    with pytest.raises(Unprocessable) as caught:
        resolve(kind="pretrain", dataset_version=version, config={"kind": "finetune"})

    assert caught.value.faults[0].pointer == "/config/kind"


def test_unknown_data_set_is_not_found(resolve: Resolve) -> None:
    with pytest.raises(NotFound):
        resolve(kind="pretrain", dataset_version="dsv_none")


@pytest.mark.parametrize("references", [{}, {"dataset": "ds_1", "dataset_version": "dsv_1"}])
def test_exactly_one_data_set_reference_is_expected(
    resolve: Resolve, references: dict[str, str]
) -> None:
    with pytest.raises(Unprocessable, match="exactly one"):
        resolve(kind="pretrain", **references)


def test_fine_tuning_without_training_masks_is_refused_with_the_counts(
    resources: Resources, add_version: Add, resolve: Resolve
) -> None:
    version = add_version(resources, labelled_splits={"train": 0, "validation": 0, "test": 4})

    with pytest.raises(Unprocessable, match="found 0 among 14 images") as caught:
        resolve(kind="finetune", dataset_version=version)

    assert caught.value.code == "unlabelled"


def test_fine_tuning_on_masks_without_any_lesion_is_refused(
    resources: Resources, add_version: Add, resolve: Resolve
) -> None:
    version = add_version(resources, lesion_cases=0)

    with pytest.raises(Unprocessable, match="no lesion at all: none of the 20 masks") as caught:
        resolve(kind="finetune", dataset_version=version)

    assert caught.value.code == "no-lesion"


def test_pretraining_needs_no_masks(
    resources: Resources, add_version: Add, resolve: Resolve
) -> None:
    version = add_version(resources, labelled=0, lesion_cases=0)

    assert resolve(kind="pretrain", dataset_version=version).kind == "pretrain"


def test_encoder_of_other_channels_is_refused_naming_both(
    resources: Resources, add_version: Add, add_model: Add, resolve: Resolve
) -> None:
    version = add_version(resources)
    add_model(resources, channels=1)

    with pytest.raises(Unprocessable, match=r"have 3 channels.*expects 1") as caught:
        resolve(kind="finetune", dataset_version=version, init_from="skin-pretrain")

    assert caught.value.code == "inconsistent-geometry"


def test_image_size_that_the_encoders_patches_do_not_divide_is_refused(
    resources: Resources, add_version: Add, add_model: Add, resolve: Resolve
) -> None:
    version = add_version(resources)
    add_model(resources, patch_size=16)

    with pytest.raises(Unprocessable, match="40, expected a multiple of the 16 pixels") as caught:
        resolve(
            kind="finetune",
            dataset_version=version,
            init_from="skin-pretrain",
            config={"image_size": 40, "patch_size": 8},
        )

    assert caught.value.faults[0].pointer == "/config/image_size"


def test_segmenter_is_no_start_for_fine_tuning(
    resources: Resources, add_version: Add, add_model: Add, resolve: Resolve
) -> None:
    version = add_version(resources)
    add_model(resources, name="skin", kind="segmenter")

    with pytest.raises(Unprocessable, match="is a segmenter, expected a pretrained"):
        resolve(kind="finetune", dataset_version=version, init_from="skin")


def test_model_it_starts_from_becomes_the_base(
    resources: Resources, add_version: Add, add_model: Add, resolve: Resolve
) -> None:
    version, model = add_version(resources), add_model(resources)

    new = resolve(kind="finetune", dataset_version=version, init_from="skin-pretrain@1")

    assert (new.spec["init_from"], new.base_model_version_id) == (model, model)


@pytest.mark.parametrize(
    ("request_", "pointer"),
    [
        ({"kind": "pretrain", "init_from": "a"}, "/init_from"),
        ({"kind": "finetune", "model_version": "a"}, "/model_version"),
        ({"kind": "evaluate"}, "/model_version"),
    ],
)
def test_model_references_that_do_not_fit_the_kind_are_refused(
    resources: Resources,
    add_version: Add,
    resolve: Resolve,
    request_: dict[str, Any],
    pointer: str,
) -> None:
    version = add_version(resources)

    with pytest.raises(Unprocessable) as caught:
        resolve(dataset_version=version, **request_)

    assert caught.value.faults[0].pointer == pointer


def test_evaluation_on_other_labels_is_refused(
    resources: Resources, add_version: Add, add_model: Add, resolve: Resolve
) -> None:
    version = add_version(resources)
    add_model(resources, name="skin", kind="segmenter", label_names=["background", "nevus"])

    with pytest.raises(Unprocessable, match=r"background, nevus apart"):
        resolve(kind="evaluate", dataset_version=version, model_version="skin")


def test_short_pretraining_is_warned_about(
    resources: Resources, add_version: Add, resolve: Resolve
) -> None:
    version = add_version(resources)

    short = resolve(kind="pretrain", dataset_version=version)
    long = resolve(kind="pretrain", dataset_version=version, config={"schedule": {"epochs": 2000}})

    assert "about 200 updates" in short.spec["warnings"][0]
    assert long.spec["warnings"] == []


def test_fine_tuning_tells_how_many_images_it_can_use(
    resources: Resources, add_version: Add, resolve: Resolve
) -> None:
    version = add_version(resources, labelled_splits={"train": 3, "validation": 2, "test": 4})

    spec = resolve(kind="finetune", dataset_version=version).spec

    assert spec["warnings"] == ["3 of 14 training images have a mask; the others are not used"]


def test_fingerprint_ignores_what_references_mean_but_not_what_is_asked() -> None:
    first = JobRequest(kind="pretrain", dataset="ds_1")
    same = JobRequest(kind="pretrain", dataset="ds_1", config={})
    other = JobRequest(kind="pretrain", dataset="ds_1", config={"seed": 1})

    assert fingerprint(first) == fingerprint(same)
    assert fingerprint(first) != fingerprint(other)
