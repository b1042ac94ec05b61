"""One endpoint for other programs: `tf-style serve`."""

import asyncio
import hmac
import secrets
from typing import Annotated, Literal

from fastapi import FastAPI, Form, Request, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from tf_style import __version__
from tf_style.app import errors, security
from tf_style.app.errors import Refused, save_body
from tf_style.app.folder import remove
from tf_style.app.request import MAX_BYTES, MAX_STYLES, Settings, check_weights
from tf_style.app.sessions import Sessions, Task, import_picture
from tf_style.app.warmup import Warmup

# In bytes, of all that one request sends.
MAX_BODY = 128 << 20
# Requests that are served at a time; most of them wait for the one that is painted.
MAX_REQUESTS = 8


class Picture(Settings):
    """A photo, paintings, and how to paint."""

    photo: UploadFile = Field(description="JPEG, PNG, WebP, TIFF, BMP or GIF.")
    painting: list[UploadFile] = Field(
        min_length=1, max_length=MAX_STYLES, description="One, or several to mix."
    )
    weights: list[float] = Field(
        [], max_length=MAX_STYLES, description="A share from 0 to 1 of each painting."
    )
    mask: UploadFile | None = Field(
        None, description="White where to paint, black where the photo stays."
    )
    format: Literal["png", "jpg", "webp"] = Field("png", description="Of the result.")


class Line(BaseModel):
    """Why a request was refused."""

    code: str = Field(description="For programs.")
    message: str = Field(description="One line for people.")


class Error(BaseModel):
    """The answer to a request that was refused."""

    error: Line


REASONS = {
    400: "A file is no picture, or the request is malformed",
    401: "The token lacks, or is another",
    403: "The request comes from a web page",
    413: "A file, or the request, is too large",
    422: "A setting is out of bounds, or the picture cannot be painted",
    503: "Too many pictures are being painted; see Retry-After",
}
TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
RESPONSES = {
    status: {"model": Error, "description": reason}
    for status, reason in REASONS.items()
}
RESPONSES[200] = {
    "description": "The picture",
    "content": {
        kind: {"schema": {"type": "string", "format": "binary"}}
        for kind in TYPES.values()
    },
}


def build(sessions: Sessions, warmup: Warmup, token: str = "") -> "Gate":
    """Returns the ASGI application.

    Args:
        sessions: its `root` is where all files go.
        warmup: what loads the models.
        token: that requests must send; empty: none.
    """
    root = sessions.root
    app = FastAPI(
        title="tf_style",
        description="Repaints a photo in the style of a painting.",
        version=__version__,
        docs_url=None,  # They load scripts from another host.
        redoc_url=None,
    )
    errors.install(app, sessions.describe)

    async def take(upload, folder, kind):
        source = folder / f"upload-{secrets.token_hex(8)}"
        inside = folder / f"picture-{secrets.token_hex(8)}"
        inside.mkdir()
        await save_body(_chunks(upload), source, MAX_BYTES)
        name = upload.filename or ""
        return await run_in_threadpool(import_picture, source, inside, name, kind)

    @app.post("/stylize", response_class=FileResponse, responses=RESPONSES)
    async def stylize(
        request: Request,
        wanted: Annotated[Picture, Form(media_type="multipart/form-data")],
    ) -> FileResponse:
        """Paints a photo in the style of a painting, or of several."""
        weights = check_weights(wanted.weights, len(wanted.painting))
        settings = Settings(**{k: getattr(wanted, k) for k in Settings.model_fields})
        folder = root / f"request-{secrets.token_hex(8)}"
        folder.mkdir()
        task = None
        try:
            photo = await take(wanted.photo, folder, "photo")
            styles = [await take(each, folder, "style") for each in wanted.painting]
            mask = wanted.mask and await take(wanted.mask, folder, "mask")
            work = await run_in_threadpool(warmup.work.result)
            order = work.Order(
                settings, photo, tuple(styles), weights, mask, format=wanted.format
            )
            task = Task(folder, order)
            painting = asyncio.ensure_future(
                run_in_threadpool(
                    work.run_task, task, warmup.notes.result, sessions.describe
                )
            )
            while not (await asyncio.wait([painting], timeout=0.2))[0]:
                if await request.is_disconnected():
                    task.abandon()
            if error := task.state.get("error"):
                status = 503 if error["code"] == "busy" else 422
                raise Refused(status, error["code"], error["message"])
            path = task.files[task.state["picture"]]
        except BaseException:
            if task:
                task.abandon()
            remove(root, folder)
            raise
        clean_up = BackgroundTask(remove, root, folder)
        return FileResponse(path, media_type=TYPES[wanted.format], background=clean_up)

    return Gate(app, token)


async def _chunks(upload):
    while chunk := await upload.read(1 << 20):
        yield chunk


class Gate:
    """ASGI application around another; keeps out who may not, or sends too much.

    Args:
        app: the other.
        token: that requests must send; empty: none, but then only programs of this
            machine may ask, and no web pages.
    """

    def __init__(self, app, token):
        self._app = app
        self._token = token.encode()
        self._served = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        if refusal := self._refuse(scope):
            return await _answer(send, *refusal)
        if scope["method"] != "POST":
            return await self._app(scope, receive, send)
        if self._served == MAX_REQUESTS:
            return await _answer(send, 503, "busy", "Too many requests at a time")
        left, started = MAX_BODY, False

        async def bounded():
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise _TooLarge
            return message

        async def watched(message):
            nonlocal started
            started = True
            await send(message)

        self._served += 1
        try:
            await self._app(scope, bounded, watched)
        except _TooLarge:
            if not started:
                await _answer(send, 413, "too_large", "The request is too large")
        finally:
            self._served -= 1

    def _refuse(self, scope):
        """Returns status, code and line for who may not ask."""
        headers = dict(scope["headers"])
        if not security.is_same_origin(scope):
            return 403, "refused", "Web pages of other sites may not use this"
        if self._token:
            sent = headers.get(b"authorization", b"")
            if not hmac.compare_digest(sent, b"Bearer " + self._token):
                return 401, "token", "Send the header Authorization: Bearer TOKEN"
        elif not security.is_local(scope):
            # A foreign name can be made to lead here.
            return 403, "refused", "Ask for 127.0.0.1 or localhost"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return 413, "too_large", "The request is too large"
        return None


class _TooLarge(Exception):
    """A request that goes on and on."""


async def _answer(send, status, code, message):
    response = errors.answer(status, code, message)
    start = {"status": status, "headers": response.raw_headers}
    await send({"type": "http.response.start", **start})
    await send({"type": "http.response.body", "body": response.body})
