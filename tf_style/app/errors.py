"""What is answered to a request that cannot be served: one line, as JSON."""

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tf_style.app.waiting_queue import Busy

# Seconds after which to ask a busy server again.
RETRY_AFTER = 10


class Refused(Exception):
    """A request that is refused, with a status, a code for programs, and a line."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


def answer(status, code, message, headers=None):
    """Returns a response that says what is wrong."""
    headers = dict(headers or {})
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


def install(app, describe):
    """Has an application answer every error as `{"error": {"code", "message"}}`.

    Args:
        app: a FastAPI application.
        describe: returns an error as one line.
    """

    @app.exception_handler(Refused)
    async def refused(_, error):
        return answer(error.status, error.code, str(error))

    @app.exception_handler(HTTPException)
    async def unknown(_, error):
        return answer(error.status_code, "refused", str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_, error):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body")
        # What came is not repeated: it may be a file.
        return answer(422, "invalid", f"{place or 'request'}: {first['msg']}")

    @app.exception_handler(Busy)
    async def busy(_, error):
        return answer(503, "busy", str(error))

    @app.exception_handler(OSError)
    @app.exception_handler(ImportError)
    async def broken(_, error):  # The disk is full, or a model cannot be had.
        return answer(503, "failed", describe(error))

    @app.exception_handler(ValueError)
    async def bad(_, error):
        return answer(400, "bad_picture", describe(error))


async def save_body(chunks, path, max_bytes):
    """Writes what is uploaded into a file.

    Raises:
        Refused: it is more than so many bytes.
    """
    left = max_bytes
    with open(path, "wb") as stream:
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                path.unlink()
                raise Refused(
                    413, "too_large", f"The file is larger than {max_bytes >> 20} MB"
                )
            stream.write(chunk)
