"""The gate of every route: a key in the Authorization header, with the scope the route asks for."""

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.auth.keys import Principal, authenticate
from service.auth.scopes import Scope
from service.dependencies import ResourcesDep
from service.errors import InsufficientScope, Unauthenticated
from service.metrics import AUTH_FAILURES

__all__ = ["Principal", "require"]

_bearer = HTTPBearer(auto_error=False, description="An API key: `Authorization: Bearer amlp_...`")


def require(scope: Scope) -> Any:
    """Return the dependency that lets only keys with `scope` in.

    Use as `principal: Annotated[Principal, require("jobs:read")]`.
    """

    def principal(
        request: Request,
        resources: ResourcesDep,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        try:
            caller = authenticate(resources.database, _secret(request, credentials))
        except Unauthenticated as error:
            AUTH_FAILURES.labels(reason="unauthenticated").inc()
            error.headers["WWW-Authenticate"] = "Bearer"
            raise
        if not caller.may(scope):
            AUTH_FAILURES.labels(reason="insufficient-scope").inc()
            raise InsufficientScope(f"the API key lacks the scope {scope}")
        return caller

    return Depends(principal)


def _secret(request: Request, credentials: HTTPAuthorizationCredentials | None) -> str:
    if any(value.startswith("amlp_") for value in request.query_params.values()):
        raise Unauthenticated("API keys are not accepted in the address; it would be logged")
    if credentials is None:
        raise Unauthenticated("no API key; send one as `Authorization: Bearer amlp_...`")
    return credentials.credentials
