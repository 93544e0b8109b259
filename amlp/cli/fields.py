"""Every field of a config, generated from the pydantic models: for help and for suggestions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from amlp.config import Config

_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "multiple of"}


@dataclass(frozen=True)
class Field:
    """One field of a config.

    Attributes:
        path: dotted, from the run's config.
        values: what it may be.
        default: as it would be written; empty if there is none.
        description: what it means.
        variant: the choice that has this field, such as `strategy=random`; empty if all do.
    """

    path: str
    values: str
    default: str
    description: str
    variant: str = ""


def list_fields(model: type[Config], *, prefix: str = "", variant: str = "") -> Iterator[Field]:
    """Yield all fields of a config model, depth first, those of every variant included."""
    for name, info in model.model_fields.items():
        path, nested = prefix + name, _models_in(info.annotation)
        if isinstance(info.discriminator, str):
            yield _choice(f"{path}.{info.discriminator}", info, nested, variant)
        elif not nested and not _is_constant(info):
            yield Field(path, _values(info), _default(info), info.description or "", variant)
        for part in nested:
            chosen = _variant_of(part) if info.discriminator else variant
            yield from list_fields(part, prefix=path + ".", variant=chosen)


def _choice(path: str, info: FieldInfo, variants: list[type[Config]], variant: str) -> Field:
    """Return the field that names one of several variants."""
    names = [_variant_of(model).partition("=")[2] for model in variants]
    default = info.get_default(call_default_factory=True, validated_data={})
    chosen = str(getattr(default, path.rpartition(".")[2], ""))
    return Field(path, " | ".join(names), chosen, "Which variant", variant)


def _is_constant(info: FieldInfo) -> bool:
    return get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1


def _models_in(annotation: Any) -> list[type[Config]]:  # an annotation can be anything
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    if get_origin(annotation) is Literal:
        return []
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _variant_of(model: type[Config]) -> str:
    """Return the `name=value` that tells a variant: its field of one literal value."""
    constants = ((n, i) for n, i in model.model_fields.items() if _is_constant(i))
    return next((f"{name}={get_args(info.annotation)[0]}" for name, info in constants), "")


def _values(info: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(limit, key)}"
        for limit in info.metadata
        for key, sign in _SIGNS.items()
        if getattr(limit, key, None) is not None
    ]
    return ", ".join([_type_name(info.annotation), *limits])


def _type_name(annotation: Any) -> str:  # an annotation can be anything
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " | ".join(str(value) for value in arguments)
    if get_origin(annotation) is tuple:
        return "[" + ", ".join(_type_name(part) for part in arguments) + "]"
    if arguments:
        return " | ".join(_type_name(part) for part in arguments)
    names = {bool: "true | false", type(None): "null"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return ""
    names = {True: "true", False: "false", None: "null"}
    if isinstance(info.default, bool | None):
        return names[info.default]
    return f"{info.default:g}" if isinstance(info.default, float) else str(info.default)
