"""What a key can be allowed to do."""

from typing import Literal

Scope = Literal[
    "datasets:read",
    "datasets:write",
    "datasets:delete",
    "jobs:read",
    "jobs:submit",
    "jobs:cancel",
    "models:read",
    "models:write",
    "models:promote",
    "predict:run",
    "predict:read",
    "metrics:read",
    "admin",
]
"""`admin` includes all others and may manage keys."""
