"""The application: routes, errors, health, and its OpenAPI document."""

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clusterwright import __version__, documents
from clusterwright.control.api import centre, costs, jobs, logs, metrics
from clusterwright.control.api.problems import MEDIA_TYPE, answer_errors
from clusterwright.control.conductor import Conductor
from clusterwright.model.centre import Centre
from clusterwright.model.jobspec import JobSpec

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_PROBLEM = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "faults": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["title", "status", "detail"],
}


def create_app(conductor: Conductor | None, *, open_metrics: bool = False) -> FastAPI:
    """Return the application that serves a centre; with open metrics they need no token.

    Without a conductor it serves nothing, but knows its own document.
    """
    app = FastAPI(
        title="clusterwright",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # the usual page loads its scripts from elsewhere
        redoc_url=None,
        summary="Jobs, nodes, queues and accounts of an AI compute centre.",
    )
    app.state.conductor = conductor
    app.state.tails = logs.Tails()
    app.state.foretelling = ThreadPoolExecutor(1, "foretell")
    app.state.open_metrics = open_metrics
    answer_errors(app)
    app.include_router(jobs.router)
    app.include_router(centre.router)
    app.include_router(costs.router)
    app.include_router(metrics.router)
    app.add_middleware(Traced)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented hook

    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, Any]:
        """Say that the server lives."""
        return {"status": "ok", "version": __version__}

    @app.get("/readyz", tags=["health"])
    async def readyz() -> Response:
        """Say whether the centre can take work: the journal is writable, the engine answers."""
        assert conductor is not None
        parts = {
            "journal": conductor.failure or "ok",
            "engine": conductor.book.reach or ("ok" if conductor.seen else "not seen yet"),
        }
        ready = all(part == "ok" for part in parts.values()) and not conductor.stopped
        parts["history"] = conductor.proof.damage or "ok"  # it can take work all the same
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"status": "ok" if ready else "not ready", **parts}, int(status))

    return app


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the API."""
    return create_app(None).openapi()


class Traced:
    """Takes up the trace of a request, or begins one, and hands it back."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and put the trace into the head of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        trace = given if _TRACEPARENT.fullmatch(given) else _new_trace()
        scope.setdefault("state", {})["traceparent"] = trace

        async def traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"traceparent", trace.encode())]
            await send(message)

        await self._app(scope, receive, traced)


def _new_trace() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with our documents and problems in it."""
    if app.openapi_schema:
        return app.openapi_schema
    made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for noun, name in ((JobSpec, "Job"), (Centre, "Centre")):
        schemas.update(_moved(documents.schema(noun), name))
    schemas["Problem"] = _PROBLEM
    answer = {
        "description": "What is wrong, where, and how to mend it.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path, methods in made["paths"].items():
        if path.startswith("/api/"):
            for operation in methods.values():
                operation["responses"].pop("422", None)
                operation["responses"]["4XX"] = answer
                operation["responses"]["503"] = answer
    app.openapi_schema = made
    return made


def _moved(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a JSON Schema and its definitions as components of the document."""
    definitions = schema.pop("$defs", {})
    schema.pop("$schema", None)
    return {
        key: _pointed(value, name)
        for key, value in {
            name: schema,
            **{f"{name}{k}": v for k, v in definitions.items()},
        }.items()
    }


def _pointed(part: Any, name: str) -> Any:  # any part of a JSON Schema
    if isinstance(part, dict):
        return {
            key: value.replace("#/$defs/", f"#/components/schemas/{name}")
            if key == "$ref" and isinstance(value, str)
            else _pointed(value, name)
            for key, value in part.items()
        }
    return [_pointed(one, name) for one in part] if isinstance(part, list) else part
