"""What routes are given: the process's open resources."""

from typing import Annotated

from fastapi import Depends, Request

from service.resources import Resources


def get_resources(request: Request) -> Resources:
    """Return what the application opened at its start."""
    resources: Resources = request.app.state.resources
    return resources


ResourcesDep = Annotated[Resources, Depends(get_resources)]
