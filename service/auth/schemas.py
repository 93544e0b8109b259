"""Bodies of the key routes."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from service.auth.keys import DEFAULT_TENANT
from service.auth.scopes import Scope
from service.schemas import Schema, Timestamp

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class KeyRequest(Schema):
    """A key to make."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "PACS gateway", "scopes": ["predict:run", "predict:read"]}]
        }
    )

    name: Name = Field(description="What the key is for")
    scopes: list[Scope] = Field(min_length=1, max_length=20, description="What it may do")
    tenant_id: str = Field(
        DEFAULT_TENANT,
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="Whose things it sees; nothing of another tenant exists for it",
    )
    expires_at: Timestamp | None = Field(None, description="When it stops working; null: never")


class KeyView(Schema):
    """A key without its secret."""

    id: str = Field(examples=["key_01KA8N6P9VJ3Y0X3W7M2B4D5F6"])
    tenant_id: str
    name: str
    prefix: str = Field(description="The secret's beginning, to recognise it by")
    scopes: list[str]
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None = Field(description="To the minute")


class NewKeyView(KeyView):
    """A new key, the only time with its secret."""

    secret: str = Field(description="Store it now; it cannot be shown again")
