"""From YAML and flags to a config."""

from pathlib import Path

import pytest

from amlp.cli.arguments import read_run_config, settings_as_options
from amlp.config import EvaluateConfig, FinetuneConfig, PretrainConfig
from amlp.errors import ConfigError


def _file(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def test_flags_are_rewritten_as_settings() -> None:
    arguments = ["pretrain", "run.yaml", "--optimizer.lr", "1e-4", "--preset=mae", "--data", "d"]

    assert settings_as_options(arguments, ["--data"]) == [
        "pretrain",
        "run.yaml",
        "--set",
        "optimizer.lr=1e-4",
        "--set",
        "preset=mae",
        "--data",
        "d",
    ]


def test_a_flag_without_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--seed has no value"):
        settings_as_options(["pretrain", "--seed"], [])


def test_nothing_given_is_the_default_run() -> None:
    assert read_run_config(PretrainConfig, None, []) == PretrainConfig()


def test_settings_lie_over_the_file(tmp_path: Path) -> None:
    file = _file(tmp_path, "kind: pretrain\nseed: 3\noptimizer: {lr: 1e-4, weight_decay: 0.1}\n")

    config = read_run_config(PretrainConfig, file, ["optimizer.lr=2e-3"])

    assert config.seed == 3
    assert config.optimizer.lr == 2e-3
    assert config.optimizer.weight_decay == 0.1


@pytest.mark.parametrize("text", ["1e-4", "0.0001", "1.0e-4", "1E-4", ".0001"])
def test_every_way_to_write_a_number_is_one(text: str, tmp_path: Path) -> None:
    file = _file(tmp_path, f"optimizer: {{lr: {text}}}")

    assert read_run_config(PretrainConfig, file, []).optimizer.lr == 1e-4


def test_null_true_and_lists_are_read() -> None:
    settings = [
        "optimizer.clip_norm=null",
        "deterministic=true",
        "augmentation.crop_scale=[0.3, 1]",
    ]

    config = read_run_config(PretrainConfig, None, settings)

    assert config.optimizer.clip_norm is None
    assert config.deterministic
    assert config.augmentation.crop_scale == (0.3, 1)


def test_a_named_encoder_can_be_changed_in_part(tmp_path: Path) -> None:
    file = _file(tmp_path, "encoder: vit_tiny")

    config = read_run_config(PretrainConfig, file, ["encoder.depth=4"])

    assert (config.encoder.embed_dim, config.encoder.depth) == (192, 4)


def test_a_preset_can_be_changed_in_part() -> None:
    config = read_run_config(PretrainConfig, None, ["preset=mae", "ratio.ratio=0.5"])

    assert config.ratio.model_dump() == {"schedule": "constant", "ratio": 0.5}
    assert config.masking.strategy == "random"


def test_part_of_the_default_variant_can_be_set_without_naming_it() -> None:
    config = read_run_config(
        PretrainConfig, None, ["ratio.start=0.3", "masking.selection.beta=1.0"]
    )

    assert config.ratio.model_dump()["start"] == 0.3
    assert config.masking.model_dump()["selection"]["beta"] == 1.0


def test_an_unknown_field_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"field optimizer\.rl; did you mean optimizer\.lr"):
        read_run_config(PretrainConfig, None, ["optimizer.rl=1"])


def test_a_value_out_of_bounds_names_field_and_value() -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.lr.*\(got -1\.0\)"):
        read_run_config(PretrainConfig, None, ["optimizer.lr=-1.0"])


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = _file(tmp_path, "kind: finetune")

    with pytest.raises(ConfigError, match="kind finetune, expected pretrain"):
        read_run_config(PretrainConfig, file, [])


@pytest.mark.parametrize("text", ["- a\n- list", "a: [", "just words", ""])
def test_what_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        read_run_config(PretrainConfig, _file(tmp_path, text), [])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_run_config(EvaluateConfig, tmp_path / "nothing.yaml", [])


def test_code_in_yaml_is_not_run(tmp_path: Path) -> None:
    file = _file(tmp_path, "seed: !!python/object/apply:os.getpid []")

    with pytest.raises(ConfigError, match="not YAML"):
        read_run_config(FinetuneConfig, file, [])
