"""One endpoint for other programs: `tf-style serve`."""

import hmac
import secrets
import threading
from typing import Annotated, Literal

from anyio import from_thread
from fastapi import FastAPI, Form, Request, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask
from starlette.datastructures import Headers

from tf_style import __version__
from tf_style.app import errors, security
from tf_style.app.errors import Refused
from tf_style.app.folder import remove
from tf_style.app.request import MAX_STYLES, Settings, check_weights
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
    values: dict[str, str | int] = Field(description="What the line names.")


class Error(BaseModel):
    """The answer to a request that was refused."""

    error: Line


REASONS = {
    400: "A file is no picture, or the request is malformed",
    401: "The token lacks, or is another",
    403: "The request comes from a web page",
    411: "The request does not say how long it is",
    413: "A file, or the request, is too large",
    422: "A setting is out of bounds, or the picture cannot be painted",
    503: "Too many pictures are being painted; see Retry-After",
}
TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
BINARY = {"schema": {"type": "string", "format": "binary"}}
RESPONSES = {
    200: {
        "description": "The picture",
        "content": dict.fromkeys(TYPES.values(), BINARY),
    }
} | {status: {"model": Error, "description": text} for status, text in REASONS.items()}


def build(sessions: Sessions, warmup: Warmup, token: str = "") -> "Gate":
    """Returns the ASGI application.

    Args:
        sessions: its `root` is where all files go.
        warmup: what loads the models.
        token: that requests must send; empty: none.
    """
    warmup.hurry()
    app = FastAPI(
        title="tf_style",
        description="Repaints a photo in the style of a painting.",
        version=__version__,
        docs_url=None,  # They load scripts from another host.
        redoc_url=None,
    )
    errors.install(app)

    @app.post("/stylize", response_class=FileResponse, responses=RESPONSES)
    def stylize(
        request: Request,
        wanted: Annotated[Picture, Form(media_type="multipart/form-data")],
    ) -> FileResponse:
        """Paints a photo in the style of a painting, or of several."""
        weights = check_weights(wanted.weights, len(wanted.painting))
        settings = Settings(**{k: getattr(wanted, k) for k in Settings.model_fields})
        folder = sessions.root / f"request-{secrets.token_hex(8)}"
        folder.mkdir()

        def take(file, kind):
            return import_picture(file.file, folder, file.filename or "", kind)

        try:
            photo = take(wanted.photo, "photo")
            styles = tuple(take(file, "style") for file in wanted.painting)
            mask = wanted.mask and take(wanted.mask, "mask")
            work = warmup.work.result()
            order = work.Order(
                settings, photo, styles, weights, mask, format=wanted.format
            )
            task = Task(folder, order)
            painting = threading.Thread(target=work.run_task, args=(task,), daemon=True)
            painting.start()
            while painting.is_alive():
                painting.join(0.2)
                if from_thread.run(request.is_disconnected):
                    task.abandon()
            if error := task.state.get("error"):
                raise Refused(error["code"], error["message"], **error["values"])
            path = task.files[task.state["picture"]]
        except BaseException:
            remove(sessions.root, folder)
            raise
        clean_up = BackgroundTask(remove, sessions.root, folder)
        return FileResponse(path, media_type=TYPES[wanted.format], background=clean_up)

    return Gate(app, token)


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
        try:
            self._check(scope)
        except Refused as error:
            return await errors.answer(error)(scope, receive, send)
        counts = scope["method"] == "POST"
        self._served += counts
        try:
            await self._app(scope, receive, send)
        finally:
            self._served -= counts

    def _check(self, scope):
        """Refuses who may not ask."""
        if not security.is_same_origin(scope):
            raise Refused("refused", "Web pages of other sites may not use this")
        if self._token:
            sent = Headers(scope=scope).get("authorization", "").encode()
            if not hmac.compare_digest(sent, b"Bearer " + self._token):
                raise Refused("token", "Send the header Authorization: Bearer TOKEN")
        elif not security.is_local(scope):
            # A foreign name can be made to lead here.
            raise Refused("refused", "Ask for 127.0.0.1 or localhost")
        security.check_length(scope, MAX_BODY)
        if scope["method"] == "POST" and self._served == MAX_REQUESTS:
            raise Refused("busy")
