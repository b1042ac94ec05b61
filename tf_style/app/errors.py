"""What is said of an error: a code and values for programs, one line for people."""

import errno
import json
import os
import re
from pathlib import Path

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

STATIC = Path(__file__).parent / "static"
# By code; the page has these lines in other languages too.
LINES = json.loads((STATIC / "en.json").read_text("utf-8"))
STATUS = {
    "bad_film": 400,
    "bad_picture": 400,
    "too_many_pixels": 400,
    "token": 401,
    "refused": 403,
    "gone": 404,
    "not_stopped": 409,
    "no_length": 411,
    "too_large": 413,
    "busy": 503,
    "no_models": 503,
    "no_space": 503,
}
# Jobs tell in words why a picture failed.
CAUSES = {
    "no_memory": "not enough memory",
    "no_space": os.strerror(errno.ENOSPC),
    "no_models": "No module named",
}
# Seconds after which to ask a busy server again.
RETRY_AFTER = 10


class Refused(Exception):
    """A request that cannot be served: a code, and values for the gaps in its line."""

    def __init__(self, code, message="", **values):
        super().__init__(message or LINES[code].format(**values))
        self.code, self.values = code, values


def describe(error):
    """Returns an error as one line that names files as the user does."""
    line = " ".join(str(error).split())
    return re.sub(r"/(?:[^/]+/)*?tf_style_app-[^/]+/(?:[^/\s]+/)*", "", line)


def explain(error):
    """Returns the code, the line and the values of an error, ready for JSON."""
    message, code, values = describe(error), "failed", {}
    if isinstance(error, Refused):
        code, values = error.code, error.values
    else:
        found = [code for code, words in CAUSES.items() if words in message]
        code, values = (found or [code])[0], {"reason": message}
    return {"code": code, "message": message, "values": values}


def answer(error):
    """Returns the response to a request that failed."""
    told, headers = explain(error), {}
    usual = 503 if isinstance(error, (OSError, ImportError)) else 422
    status = STATUS.get(told["code"], usual)
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": told}, status, headers)


def install(app):
    """Has a FastAPI application answer every error as `{"error": {"code", ...}}`."""

    async def failed(_, error):
        return answer(error)

    async def invalid(_, error):
        first = error.errors()[0]
        place = [str(part) for part in first["loc"] if part not in ("body", "query")]
        # What came is not repeated: it may be a file.
        line = f"{'.'.join(place) or 'request'}: {first['msg']}"
        return answer(Refused("invalid", line, name=(place or ["request"])[-1]))

    async def unknown(_, error):
        told = {"code": "refused", "message": str(error.detail), "values": {}}
        return JSONResponse({"error": told}, error.status_code, error.headers)

    for kind in (Refused, OSError, ImportError, ValueError):
        app.add_exception_handler(kind, failed)
    for kind in (RequestValidationError, ValidationError):
        app.add_exception_handler(kind, invalid)
    app.add_exception_handler(HTTPException, unknown)
