"""The HTTP application: routes of all features, behind one gate, over one set of resources."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import amlp
from service.auth.routes import router as auth_router
from service.datasets.routes import router as datasets_router
from service.datasets.version_routes import router as versions_router
from service.health import router as health_router
from service.jobs.control_routes import router as job_control_router
from service.jobs.reconciler import Reconciler
from service.jobs.routes import router as jobs_router
from service.logs import configure_logging
from service.middleware import RequestGate
from service.models.routes import router as models_router
from service.problems import Problem, install_problem_handlers
from service.resources import open_resources
from service.segmentation.lifespan import start_segmentation, stop_segmentation
from service.segmentation.routes import router as segmentation_router
from service.settings import Settings

DESCRIPTION = """Takes medical image data sets, trains segmentation networks on them with masked
image modelling, and serves the results. Errors are problem documents (RFC 9457); lists are paged by
cursor; long work is a job."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; `uvicorn --factory service.app:create_app`.

    The schema must have been migrated before (`python -m service migrate`).
    """
    chosen = settings or Settings()
    configure_logging(chosen.log_level)
    app = FastAPI(
        title="AMLP",
        description=DESCRIPTION,
        version=amlp.__version__,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = chosen
    install_problem_handlers(app)
    for router in (
        health_router,
        auth_router,
        datasets_router,
        versions_router,
        jobs_router,
        job_control_router,
        models_router,
        segmentation_router,
    ):
        app.include_router(router)
    app.add_middleware(RequestGate, settings=chosen)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    resources = open_resources(app.state.settings)
    app.state.resources = resources
    reconciler = Reconciler(resources)
    reconciler.start()
    await start_segmentation(app, resources)
    try:
        yield
    finally:
        await stop_segmentation(app)
        reconciler.stop()
        resources.close()


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the document, with the schema that all problem answers refer to."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(schema.pop("$defs"))
        schemas["Problem"] = schema
        app.openapi_schema = document
    return app.openapi_schema
