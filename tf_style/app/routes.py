"""What the page may request.

Requests name pictures and results by keys; a path or a URL has no meaning in any.
"""

import asyncio
import re
import secrets
import threading
import time
import zipfile
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from tf_style.app import errors
from tf_style.app.errors import Refused
from tf_style.app.request import (
    MAX_BYTES,
    MAX_SIDE,
    MAX_STYLES,
    STEPS,
    Settings,
    check_weights,
)
from tf_style.app.sessions import Picture, Session

STATIC = Path(__file__).parent / "static"
# In bytes, of a request that uploads no file.
MAX_JSON = 1 << 16
# Seconds that a question for news may wait.
PATIENCE = 20.0
# Examples in the package; the page opens on the first of each, painted.
PHOTOS = ("harbor", "still_life")
PAINTINGS = ("swirls", "mosaic", "cubist", "watercolor", "woodcut")
UNCACHED = {"cache-control": "no-store"}
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}

Key = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]


class Wanted(BaseModel):
    """One picture that a page asks for."""

    model_config = ConfigDict(extra="forbid")

    photo: Key
    styles: list[Key] = Field(min_length=1, max_length=MAX_STYLES)
    weights: list[float] = Field([], max_length=MAX_STYLES)
    mask: Key | None = None
    film: bool = False
    settings: Settings = Settings()


def build(sessions, warmup):
    """Returns the page's FastAPI application.

    Args:
        sessions: the `sessions.Sessions`.
        warmup: the `warmup.Warmup`.
    """
    app = FastAPI(openapi_url=None)
    errors.install(app, sessions.describe)
    static = {path.name: path for path in STATIC.iterdir()}
    examples = {
        name: Picture(path := static[f"{name}.webp"], path, (0, 0))
        for name in (*PHOTOS, *PAINTINGS)
    }

    def own(request: Request) -> Session:
        warmup.hurry()
        return sessions.get(request.scope["owner"])

    Own = Annotated[Session, Depends(own)]

    def find(session, key):
        found = examples.get(key) or session.pictures.get(key)
        if not found:
            raise Refused(404, "gone", "There is no such picture; choose it again")
        return found

    def find_task(session, key):
        if key not in session.tasks:
            raise Refused(404, "gone", "There is no such result")
        return session.tasks[key]

    def start(task):
        threading.Thread(
            target=warmup.work.result().run_task,
            args=(task, warmup.notes.result, sessions.describe),
            daemon=True,
        ).start()

    def serve(path, name=None):
        return FileResponse(
            path, media_type=TYPES.get(path.suffix), filename=name, headers=UNCACHED
        )

    @app.get("/")
    def page():
        return serve(static["page.html"])

    @app.get("/static/{name}")
    def file(name: str):
        if name not in static:
            raise Refused(404, "gone", "There is no such file")
        return serve(static[name])

    @app.get("/state")
    def state(session: Own):
        """Tells what there is; an open page asks now and then, and so stays."""
        ready, notes, rates = warmup.notes.done(), [], {}
        if ready:
            error = warmup.notes.exception()
            # The rest tells of the network, and names flags of the command line.
            notes = (
                [sessions.describe(error)]
                if error
                else [re.split(r" \(|; --", n)[0] for n in warmup.notes.result()]
            )
            rates = warmup.work.result().RATES if not error else {}
        return {
            "ready": ready,
            "models": notes,
            "rates": rates,
            "steps": STEPS,
            "max_side": MAX_SIDE,
            "photos": PHOTOS,
            "paintings": PAINTINGS,
            "pictures": [
                _describe(key, picture)
                for key, picture in list(session.pictures.items())
                if picture.kind != "mask"
            ],
            "results": [task.state for task in session.tasks.values()],
        }

    @app.post("/pictures", status_code=201)
    async def upload(
        request: Request, session: Own, kind: str = "photo", name: str = ""
    ):
        if kind not in ("photo", "style", "mask"):
            raise Refused(422, "invalid", "kind: must be photo, style or mask")
        lengths = request.headers.get("content-length", "0")
        if not lengths.isdigit() or int(lengths) > MAX_BYTES:
            raise Refused(
                413, "too_large", f"The file is larger than {MAX_BYTES >> 20} MB"
            )
        path = session.folder / f"upload-{secrets.token_hex(8)}"
        try:
            await errors.save_body(request.stream(), path, MAX_BYTES)
            key = await run_in_threadpool(session.add_picture, path, name, kind)
        finally:
            path.unlink(missing_ok=True)
        return _describe(key, session.pictures[key])

    @app.get("/pictures/{key}")
    def picture(key: str, session: Own):
        return serve(find(session, key).shown)

    @app.post("/results", status_code=202)
    async def paint(request: Request, session: Own):
        wanted = await _read(request, Wanted)
        weights = check_weights(wanted.weights, len(wanted.styles))
        work = await run_in_threadpool(warmup.work.result)
        photo = find(session, wanted.photo)
        if wanted.film and not photo.film:
            raise Refused(422, "invalid", "film: the photo is not a film")
        order = work.Order(
            wanted.settings,
            photo,
            tuple(find(session, key) for key in wanted.styles),
            weights,
            wanted.mask and find(session, wanted.mask),
            wanted.film,
        )
        task = session.add_task(order)
        task.update(wanted=wanted.model_dump())
        start(task)
        return task.state

    @app.get("/results/{key}")
    async def news(key: str, session: Own, after: int = -1):
        """Answers when there is something newer than version `after`, or in a while."""
        task, until = find_task(session, key), time.monotonic() + PATIENCE
        while task.state["version"] == after and time.monotonic() < until:
            await asyncio.sleep(0.02)
        return task.state

    @app.post("/results/{key}/stop")
    def stop(key: str, session: Own):
        find_task(session, key).stop.set()
        return {}

    @app.post("/results/{key}/continue", status_code=202)
    def go_on(key: str, session: Own):
        task = find_task(session, key)
        if task.running or not task.state.get("resumable"):
            raise Refused(409, "invalid", "This picture was not stopped on its way")
        task.resume()
        start(task)
        return task.state

    @app.get("/results/{key}/{name}")
    def result(key: str, name: str, session: Own, save: bool = False):
        task = find_task(session, key)
        path = task.files.get(name)
        if not path or not path.is_file():
            raise Refused(404, "gone", "There is no such file")
        return serve(path, path.name if save else None)

    @app.get("/all.zip")
    def everything(session: Own):
        path = session.folder / f"all-{secrets.token_hex(4)}.zip"
        for old in session.folder.glob("all-*.zip"):
            old.unlink(missing_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for number, task in enumerate(session.tasks.values(), 1):
                found = task.files.get(task.state.get("picture"))
                if found and not task.running:
                    archive.write(found, f"{number:02}_{found.name}")
        return serve(path, "tf_style.zip")

    @app.post("/forget")
    def forget(session: Own):
        """Removes all pictures and results of this browser."""
        session.clear()
        return {}

    return app


def _describe(key, picture):
    return {
        "key": key,
        "kind": picture.kind,
        "name": picture.path.name,
        "size": picture.size,
        "film": picture.film is not None,
    }


async def _read(request, model):
    """Returns the body of a request as a model.

    Raises:
        Refused: it is too large.
        RequestValidationError: it is no such model.
    """
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_JSON:
            raise Refused(413, "too_large", "The request is too large")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
