"""The union of all runs, and how one is parsed from plain data."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from amlp.config.pretrain import PretrainConfig
from amlp.config.segmentation import EvaluateConfig, FinetuneConfig
from amlp.errors import ConfigError

RunConfig = Annotated[PretrainConfig | FinetuneConfig | EvaluateConfig, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[PretrainConfig | FinetuneConfig | EvaluateConfig] = TypeAdapter(RunConfig)


def parse_run_config(data: Mapping[str, Any]) -> PretrainConfig | FinetuneConfig | EvaluateConfig:
    """Return the run that `data` (parsed JSON or YAML) describes.

    Raises:
        ConfigError: one line a fault, naming the field, the value seen and what was expected.
    """
    try:
        return _ADAPTER.validate_python(dict(data))
    except ValidationError as error:
        raise ConfigError("; ".join(_describe(fault) for fault in error.errors())) from error


def _describe(fault: Any) -> str:  # pydantic types its error details loosely
    field = ".".join(str(part) for part in fault["loc"])
    return f"{field}: {fault['msg']} (got {str(fault.get('input'))[:80]})"
