"""What the page may request.

Requests name pictures and results by keys; a path or a URL has no meaning in any.
"""

import asyncio
import mimetypes
import secrets
import threading
import time
import zipfile
from typing import Annotated, Literal, get_args

from fastapi import Depends, FastAPI, Request, UploadFile
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from tf_style.app import errors
from tf_style.app.errors import STATIC, Refused
from tf_style.app.request import MAX_SIDE, MAX_STYLES, Method, Settings, check_weights
from tf_style.app.sessions import Picture, Session

# Seconds that a question for news may wait.
PATIENCE = 20.0
# Examples in the package; the page opens on the first of each, painted.
PHOTOS = {"harbor": (512, 384), "still_life": (512, 512)}
PAINTINGS = ("swirls", "mosaic", "cubist", "watercolor", "woodcut")

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
    """Returns the page's application, of a `Sessions` and a `Warmup`."""
    # Windows may take it for plain text, which browsers do not run.
    mimetypes.add_type("text/javascript", ".js")
    app = FastAPI(openapi_url=None)
    app.mount("/static", StaticFiles(directory=STATIC))
    errors.install(app)
    examples = {}
    for key in (*PHOTOS, *PAINTINGS):
        path = STATIC / f"{key}.webp"
        kind = "photo" if key in PHOTOS else "style"
        examples[key] = Picture(key, path, path, PHOTOS.get(key, (0, 0)), kind)

    def own(request: Request) -> Session:
        warmup.hurry()
        return sessions.get(request.scope["owner"])

    Own = Annotated[Session, Depends(own)]

    def find(session, key):
        found = examples.get(key) or session.pictures.get(key)
        if not found:
            raise Refused("gone")
        return found

    def find_task(session, key):
        if key not in session.tasks:
            raise Refused("gone")
        return session.tasks[key]

    def start(task):
        run = warmup.work.result().run_task
        threading.Thread(target=run, args=(task,), daemon=True).start()
        return task.state

    @app.get("/")
    def page():
        return FileResponse(STATIC / "page.html")

    @app.get("/state")
    def state(session: Own, photo: str = "harbor", side: int = 0, steps: int = 0):
        """Tells what there is; an open page asks now and then, and so stays."""
        ready, seconds = warmup.work.done(), {}
        if ready and not warmup.work.exception():
            forecast = warmup.work.result().forecast
            size = (examples | session.pictures).get(photo, examples["harbor"]).size
            for method in get_args(Method):
                wanted = Settings(method=method, side=side, steps=steps)
                seconds[method] = forecast.seconds(
                    method, wanted.fit(size), wanted.count_steps()
                )
        return {
            "ready": ready,
            "seconds": seconds,
            "max_side": MAX_SIDE,
            "pictures": [
                _describe(picture)
                for picture in [*examples.values(), *session.pictures.values()]
                if picture.kind != "mask"
            ],
            "results": [task.state for task in session.tasks.values()],
        }

    @app.post("/pictures", status_code=201)
    def upload(session: Own, file: UploadFile, kind: Literal["photo", "style", "mask"]):
        return _describe(session.add_picture(file.file, file.filename or "", kind))

    @app.get("/pictures/{key}")
    def picture(key: str, session: Own):
        return FileResponse(find(session, key).shown)

    @app.post("/results", status_code=202)
    def paint(wanted: Wanted, session: Own):
        weights = check_weights(wanted.weights, len(wanted.styles))
        work = warmup.work.result()
        photo = find(session, wanted.photo)
        if wanted.film and not photo.film:
            raise Refused("invalid", name="film")
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
        return start(task)

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
            raise Refused("not_stopped")
        task.resume()
        return start(task)

    @app.get("/results/{key}/{name}")
    def result(key: str, name: str, session: Own, save: bool = False):
        path = find_task(session, key).files.get(name)
        if not path or not path.is_file():
            raise Refused("gone")
        return FileResponse(path, filename=path.name if save else None)

    @app.get("/all.zip")
    def everything(session: Own):
        path = session.folder / f"all-{secrets.token_hex(4)}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for number, task in enumerate(session.tasks.values(), 1):
                found = task.files.get(task.state.get("picture"))
                if found and not task.running:
                    archive.write(found, f"{number:02}_{found.name}")
        clean_up = BackgroundTask(path.unlink, missing_ok=True)
        return FileResponse(path, filename="tf_style.zip", background=clean_up)

    @app.post("/forget")
    def forget(session: Own):
        """Removes all pictures and results of this browser."""
        session.clear()
        return {}

    return app


def _describe(picture):
    return {
        "key": picture.key,
        "kind": picture.kind,
        "name": picture.path.name,
        "size": picture.size,
        "film": picture.film is not None,
    }
