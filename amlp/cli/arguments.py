"""From a YAML file and dotted flags to a run's config."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from amlp.cli.fields import list_fields
from amlp.config import ENCODERS, EvaluateConfig, FinetuneConfig, PretrainConfig, parse_run_config
from amlp.config.pretrain import overlay
from amlp.errors import ConfigError

Run = TypeVar("Run", PretrainConfig, FinetuneConfig, EvaluateConfig)
Tree = dict[str, Any]  # parsed YAML, checked by the config's own models

_SETTING = re.compile(r"--([a-z_]+(?:\.[a-z_]+)*)(?:=(.*))?", re.DOTALL)
_SCALARS = (
    ("null", r"null|~|", ("n", "~", "")),
    ("bool", r"true|false", tuple("tf")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", tuple("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", tuple("-+.0123456789")),
)


def read_run_config(kind: type[Run], file: Path | None, settings: Sequence[str]) -> Run:
    """Return the config of a YAML file with `path=value` settings laid over it.

    Raises:
        ConfigError: a field is unknown (with a suggestion), a value is not allowed, or the file is
            not a mapping or describes another kind of run.
    """
    tree = _spelled_out({} if file is None else _read_yaml(file))
    for setting in settings:
        path, _, value = setting.partition("=")
        tree = _spelled_out(overlay(tree, _nested(path, _parse_scalar(path, value))))
    name = kind.model_fields["kind"].default
    if tree.setdefault("kind", name) != name:
        raise ConfigError(f"the file describes a run of kind {tree['kind']}, expected {name}")
    _check_names(kind, tree)
    config = parse_run_config(tree)
    if not isinstance(config, kind):
        raise ConfigError(f"the config is of kind {config.kind}, expected {name}")
    return config


def settings_as_options(arguments: Sequence[str], known: Sequence[str]) -> list[str]:
    """Rewrite `--optimizer.lr 1e-4` as `--set optimizer.lr=1e-4`; `known` options stay as they are.

    Raises:
        ConfigError: a setting has no value.
    """
    rewritten: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        found = _SETTING.fullmatch(argument)
        if found is None or f"--{found[1]}" in known:
            rewritten.append(argument)
            continue
        value = found[2] if found[2] is not None else next(remaining, None)
        if value is None:
            raise ConfigError(f"{argument} has no value, expected {argument} VALUE")
        rewritten += ["--set", f"{found[1]}={value}"]
    return rewritten


class _Loader(yaml.SafeLoader):
    """Scalars of YAML 1.2: 1e-4 is a number, yes and off are words, 1:30 is no sexagesimal."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- yaml reads this class attribute
        first: [
            (f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})$"))
            for tag, pattern, firsts in _SCALARS
            if first in firsts
        ]
        for first in {first for _, _, firsts in _SCALARS for first in firsts}
    }


def _parse(text: str) -> Any:  # YAML can hold anything
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _read_yaml(file: Path) -> Tree:
    try:
        tree = _parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{file} holds a {type(tree).__name__}, expected a mapping of fields")
    return tree


def _parse_scalar(path: str, value: str) -> Any:  # YAML can hold anything
    try:
        return _parse(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {value!r} is not a YAML value") from error


def _nested(path: str, value: Any) -> Tree:
    first, _, rest = path.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _spelled_out(tree: Mapping[str, Any]) -> Tree:
    """Return the tree with a named encoder as its values, so that single ones can be set."""
    encoder = tree.get("encoder")
    if isinstance(encoder, str) and encoder in ENCODERS:
        return {**tree, "encoder": dict(ENCODERS[encoder])}
    return dict(tree)


def _check_names(kind: type[Run], tree: Tree) -> None:
    known = {"kind", "schema_version"} | {field.path for field in list_fields(kind)}
    known |= {path[:dot] for path in known for dot in _dots(path)}
    for path in _paths(tree):
        if path not in known:
            close = difflib.get_close_matches(path, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigError(f"unknown field {path}{hint}")


def _dots(path: str) -> Iterator[int]:
    return (index for index, letter in enumerate(path) if letter == ".")


def _paths(tree: Tree, prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{key}.")
