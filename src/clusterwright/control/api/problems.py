"""Errors as RFC 9457 problem details: what is wrong, where, and how to mend it."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from clusterwright.control.auth import Forbidden, Unauthenticated
from clusterwright.control.journal import JournalUnwritable
from clusterwright.engines import OutOfReach
from clusterwright.errors import (
    ClusterwrightError,
    Conflict,
    Fault,
    InvalidInput,
    TargetMissing,
    UnknownName,
)

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


class NotThere(ClusterwrightError):
    """There is no such thing, or the caller may not see it."""


class Changed(ClusterwrightError):
    """What is to be changed is not what the caller last saw."""


_STATUS: Mapping[type[ClusterwrightError], HTTPStatus] = {
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownName: HTTPStatus.NOT_FOUND,
    NotThere: HTTPStatus.NOT_FOUND,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    Changed: HTTPStatus.PRECONDITION_FAILED,
    Conflict: HTTPStatus.CONFLICT,
    JournalUnwritable: HTTPStatus.SERVICE_UNAVAILABLE,
    OutOfReach: HTTPStatus.SERVICE_UNAVAILABLE,
    TargetMissing: HTTPStatus.NOT_FOUND,
}


def problem(
    status: HTTPStatus, detail: str, *, faults: list[dict[str, Any]] | None = None
) -> JSONResponse:
    """Return a problem as the body of an answer."""
    body: dict[str, Any] = {"title": status.phrase, "status": int(status), "detail": detail}
    if faults:
        body["faults"] = faults
    headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(body, int(status), headers, media_type=MEDIA_TYPE)


def answer_errors(app: FastAPI) -> None:
    """Have an application answer every error with a problem."""

    async def ours(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ClusterwrightError)
        kinds = (_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
        status = next(kinds, HTTPStatus.BAD_REQUEST)
        faults = None
        if isinstance(error, InvalidInput):
            faults = [_fault(fault) for fault in error.faults]
        return problem(status, str(error), faults=faults)

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        answer = problem(HTTPStatus(error.status_code), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    async def parameters(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        faults = [
            {"path": ".".join(str(step) for step in one["loc"]), "message": one["msg"]}
            for one in error.errors()
        ]
        detail = "; ".join(f"{one['path']}: {one['message']}" for one in faults)
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, faults=faults)

    async def bug(_: Request, error: Exception) -> JSONResponse:
        _log.error("a request failed", exc_info=error)
        detail = "a fault of clusterwright; the server's log has it"
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)

    app.add_exception_handler(ClusterwrightError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(Exception, bug)


def _fault(fault: Fault) -> dict[str, Any]:
    found: dict[str, Any] = {"path": fault.path, "message": fault.message}
    if fault.line is not None:
        found |= {"line": fault.line, "column": fault.column}
    if fault.remedy:
        found["remedy"] = fault.remedy
    return found
