"""What every body of the API has in common: strict fields, RFC 3339 times."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict


class Schema(BaseModel):
    """Base of request and response bodies: no unknown fields, no coercion, no NaN."""

    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, strict=True, from_attributes=True
    )


def _as_datetime(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int() | float():
            return datetime.fromtimestamp(value, UTC)
        case str():
            return datetime.fromisoformat(value)
        case _:
            return value


Timestamp = Annotated[AwareDatetime, BeforeValidator(_as_datetime)]
"""A moment: unix seconds in rows, RFC 3339 with its zone in bodies."""
