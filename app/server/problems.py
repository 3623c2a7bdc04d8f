"""Errors of the API as one JSON form: ``{"message": ..., "errors": [{"field", "message"}]?}``."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from rankscope.models.reading import ConfigError
from rankscope.storage.errors import (
    FencedOutError,
    OtherVersionError,
    RunRefusedError,
    StorageError,
    UnknownEvaluationError,
    UnknownRunError,
    UnusableDatabaseError,
)

_CODES: tuple[tuple[type[StorageError], int], ...] = (
    (UnknownRunError, 404),
    (UnknownEvaluationError, 404),
    (RunRefusedError, 409),
    (FencedOutError, 409),
    (OtherVersionError, 409),
    (UnusableDatabaseError, 503),
)
"""Status codes of what storage refuses; all else is 400."""

ROUTER = APIRouter()
"""Comes after all other routes of the API, so that none of Gradio's answers for it."""


@ROUTER.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def unknown(path: str) -> JSONResponse:
    """There is no such address."""
    return JSONResponse({"message": f"the API has no such address, got /api/{path}"}, 404)


def add_to(app: FastAPI) -> None:
    """Make ``app`` answer every error in that form."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ConfigError, _config)
    app.add_exception_handler(StorageError, _storage)
    app.add_exception_handler(SQLAlchemyError, _database)
    app.add_exception_handler(Exception, _unexpected)


async def _http(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, HTTPException)
    return JSONResponse({"message": error.detail}, error.status_code, error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": ".".join(map(str, one["loc"][1:])), "message": one["msg"]}
        for one in error.errors()
    ]
    first = errors[0]
    message = f"{first['field']}: {first['message']}" if first["field"] else first["message"]
    return JSONResponse({"message": message, "errors": errors}, 422)


async def _config(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, ConfigError)
    errors = [{"field": one.field, "message": one.message} for one in error.problems]
    return JSONResponse({"message": str(error), "errors": errors}, 422)


async def _storage(request: Request, error: Exception) -> JSONResponse:
    del request
    status = next((code for kind, code in _CODES if isinstance(error, kind)), 400)
    return JSONResponse({"message": str(error)}, status)


async def _database(request: Request, error: Exception) -> JSONResponse:
    del request, error  # its text may name hosts and statements; the log of the server has it
    message = "the database must answer, it does not; training goes on, try again in a minute"
    return JSONResponse({"message": message}, 503, {"retry-after": "5"})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    del request, error  # uvicorn logs the traceback
    return JSONResponse({"message": "the server failed; its log says why"}, 500)
