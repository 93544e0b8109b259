"""The list of a config's fields."""

import pytest

from amlp.cli.fields import list_fields
from amlp.config import Config, EvaluateConfig, FinetuneConfig, PretrainConfig


@pytest.mark.parametrize("config", [PretrainConfig, FinetuneConfig, EvaluateConfig])
def test_every_field_says_what_it_means(config: type[Config]) -> None:
    silent = [field.path for field in list_fields(config) if not field.description]

    assert silent == []


def test_every_field_of_a_run_is_listed() -> None:
    listed = {field.path for field in list_fields(PretrainConfig)}

    assert {"seed", "optimizer.lr", "masking.clustering.num_clusters", "ratio.ratio"} <= listed


def test_a_choice_is_listed_once_with_its_variants_and_default() -> None:
    choices = [f for f in list_fields(PretrainConfig) if f.path == "masking.strategy"]

    assert len(choices) == 1
    assert choices[0].values == "random | blockwise | masked_patch_selection"
    assert choices[0].default == "masked_patch_selection"


def test_a_variant_s_field_says_whose_it_is() -> None:
    fields = {field.path: field for field in list_fields(PretrainConfig)}

    assert fields["ratio.ratio"].variant == "schedule=constant"
    assert fields["seed"].variant == ""


def test_bounds_and_defaults_are_shown() -> None:
    fields = {field.path: field for field in list_fields(PretrainConfig)}

    assert fields["optimizer.lr"].values == "float, > 0, <= 1"
    assert fields["optimizer.lr"].default == "0.0005"
    assert fields["deterministic"].default == "false"
    assert fields["optimizer.clip_norm"].values == "float | null, > 0"
