"""One job from inputs to files: every content in every style.

Reads pictures, has them painted, writes the results with a manifest beside each, and
tells its story in events: it prints nothing. One picture that fails does not stop the
others.
"""

import dataclasses
import functools
import itertools
import time
from collections.abc import Iterator

from tf_style import gatys, hub, images, manifest, paint, plan, sheet
from tf_style.config import INITS
from tf_style.events import Failed, Kept, Noted, Started, Written

# Thumbnails of the contact sheet, and about the most that a sheet measures a side.
THUMBNAIL_SIDE = 256
SHEET_SIDE = 8192
# Seconds of a time budget that are kept for writing a picture, and for the end.
WRITING_S = 1.0
WRITING_S_PER_MEGAPIXEL = 0.5
# Decoded styles that are kept while the contents go by.
STYLES_IN_MEMORY = 8


def run(
    job, began=None
) -> Iterator[Noted | Started | gatys.Step | Written | Kept | Failed]:
    """Does a `config.Job`.

    Args:
        job: what to do.
        began: when its time budget began, on `time.monotonic`; None: now.

    Yields:
        What happens, as it happens.

    Raises:
        ValueError, OSError: nothing can be painted: bad settings, no model, no place
            to write.
        KeyboardInterrupt: after the best picture so far is written.
    """
    began = time.monotonic() if began is None else began
    contents, styles = plan.expand(job.contents), plan.expand(job.styles)
    pairs = plan.assign(job, contents, styles)
    read_content = functools.partial(_read, job, "content", max_side=job.max_side)
    paintings = _Paintings(job, styles)
    shrink = functools.partial(
        sheet.thumbnail, side=_thumbnail_side(len(contents), len(styles))
    )
    thumbnails, models = {}, None
    for style in styles:
        picture = yield from _attempt(paintings.read, style)
        if picture:
            thumbnails[style] = shrink(picture.pixels)
    for source, group in itertools.groupby(pairs, lambda pair: pair.content):
        if not (content := (yield from _attempt(read_content, source))):
            continue
        thumbnails[source] = shrink(content.pixels)
        for pair in group:
            if not thumbnails.keys() >= {*pair.styles}:
                continue
            # Here and not earlier: who has one bad picture need not wait for a model.
            if not models:
                job = yield from _settle(job)
                models = _load_models(job)
            init = _read_init(job)
            yield _started(job, pair, len(pairs), content, models)
            seconds = _seconds_for(job, began, content, len(pairs) - pair.index)
            painted = yield from paint.make(
                job, pair, content, paintings, init, models, seconds
            )
            if painted:
                thumbnails[pair.output] = shrink(painted.picture)
    if len(pairs) > 1 and any(pair.output in thumbnails for pair in pairs):
        yield from _write_sheet(pairs, thumbnails)


class _Paintings:
    """The styles of a job, read and encoded once; the last few are remembered."""

    def __init__(self, job, sources):
        self._job = job
        self._names = dict(zip(sources, manifest.style_names(len(sources))))
        self.read = functools.lru_cache(STYLES_IN_MEMORY)(self._read)
        self.encode = functools.lru_cache(STYLES_IN_MEMORY)(self._encode)

    def _read(self, source):
        # Engines scale the style themselves, and by its shorter side at that.
        return _read(self._job, self._names[source], source, max_side=0)

    def _encode(self, sources, config):
        return hub.encode([self.read(source).pixels for source in sources], config)


def _read(job, name, source, max_side):
    """Reads a picture and holds it to the checksum of a repeated run."""
    picture = images.load_picture(source, max_side)
    manifest.check(job, name, source, picture.sha256)
    return picture


def _read_init(job):
    """Reads the first picture, if the settings name a file."""
    if "gatys" in job.engines and job.gatys.init not in INITS:
        return _read(job, "init", job.gatys.init, job.max_side)
    return None


def _attempt(read, source):
    """Returns the picture, or None after saying why there is none."""
    try:
        return read(source)
    except (ValueError, OSError) as error:
        yield Failed(str(error))


def _settle(job):
    """Yields what was chosen where the job leaves a model open; returns the job so."""
    choices = {}
    for engine in job.engines:
        choose = {"hub": hub.choose, "gatys": gatys.choose}[engine]
        choices[engine], note = choose(getattr(job, engine))
        if note:
            yield Noted(note)
    return dataclasses.replace(job, **choices)


def _load_models(job):
    """Returns the model of each engine that the mode needs; loaded once per process."""
    load = {
        "hub": lambda: hub.load_model(job.hub.model),
        "gatys": lambda: gatys.load_backbone(job.gatys),
    }
    models = {engine: load[engine]() for engine in job.engines}
    for engine, model in models.items():
        manifest.check(job, engine, model.source, model.checksum)
    return models


def _started(job, pair, count, content, models):
    """Returns the event of a picture that is taken up."""
    started = Started(pair.index, count, pair.output.name, 0)
    if "gatys" not in job.engines:
        return started
    return started._replace(
        steps=None if job.gatys.time_budget else job.gatys.steps,
        memory=gatys.estimate_memory(models["gatys"], content.pixels, job.gatys),
    )


def _seconds_for(job, began, content, pictures):
    """Returns the part of the time budget that one of so many pictures gets."""
    if not job.gatys.time_budget:
        return 0.0
    left = began + job.gatys.time_budget - time.monotonic()
    megapixels = content.pixels.size / 3e6
    # Who is late already gets one step.
    return max(1e-3, left / pictures - WRITING_S - WRITING_S_PER_MEGAPIXEL * megapixels)


def _write_sheet(pairs, thumbnails):
    """Draws styles across, contents down; what failed stays empty."""

    def cell(*sources):
        failed = "" if thumbnails.keys() >= {*sources} else " (failed)"
        caption = " + ".join(map(plan.stem_of, sources)) + failed
        # A mixture has no picture of its own.
        picture = thumbnails.get(sources[0]) if len(sources) == 1 else None
        return sheet.Cell(picture, caption)

    columns = dict.fromkeys(pair.styles for pair in pairs)
    rows = [[sheet.Cell(None), *[cell(*styles) for styles in columns]]]
    for content, group in itertools.groupby(pairs, lambda pair: pair.content):
        made = [sheet.Cell(thumbnails.get(pair.output)) for pair in group]
        rows.append([cell(content), *made])
    path = plan.sheet_path(pairs)
    try:
        images.save_image(path, sheet.draw(rows))
    except (ValueError, OSError) as error:
        yield Failed(f"contact sheet: {error}")
    else:
        yield Written(path, None)


def _thumbnail_side(rows, columns):
    return max(16, min(THUMBNAIL_SIDE, SHEET_SIDE // (max(rows, columns) + 1)))
