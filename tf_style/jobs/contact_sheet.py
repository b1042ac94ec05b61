"""The contact sheet of a job: all pictures in a grid, with their inputs."""

from tf_style import images
from tf_style.images import grid
from tf_style.jobs import manifest, modes, plan
from tf_style.jobs.events import Failed, Written, describe_error

# Largest side of a thumbnail, and about the largest side of a sheet.
THUMBNAIL_SIDE = 256
SHEET_SIDE = 8192


class ContactSheet:
    """Collects thumbnails and draws the contact sheet.

    Args:
        job: a `config.Job`.
        pairs: its `plan.Pair`s.
    """

    def __init__(self, job, pairs):
        self._job = job
        self._pairs = pairs
        self._path = plan.sheet_path(pairs)
        self._thumbnails = {}
        self._rows = list(dict.fromkeys(map(plan.row_of, pairs)))
        self._columns = list(dict.fromkeys(map(plan.column_of, pairs)))
        cells = 1 + max(len(self._rows), len(self._columns))
        self._side = min(THUMBNAIL_SIDE, SHEET_SIDE // cells)

    def add(self, source, pixels):
        """Keeps a thumbnail of a photo or painting."""
        if self._path:
            self._thumbnails[source] = grid.thumbnail(pixels, self._side)

    def write(self, written):
        """Draws the finished pictures into the sheet; yields events.

        Args:
            written: paths of the finished pictures; other cells stay empty.
        """
        if not (self._path and any(pair.output in written for pair in self._pairs)):
            return
        try:
            drawn = grid.draw(list(self._grid(written)))
            with manifest.publishing({}, [self._path], {}) as (temporary,):
                images.write_image(temporary, drawn)
        except Exception as error:
            yield Failed(f"contact sheet: {describe_error(error)}")
        else:
            yield Written(self._path, None)

    def _grid(self, written):
        made = {(plan.row_of(pair), plan.column_of(pair)): pair for pair in self._pairs}
        heads = [self._head(column) for column in self._columns]
        corner, captions = grid.Cell(None), [""] * len(heads)
        if len(self._job.sweep) == 2:
            corner = self._head((self._pairs[0].content,))
        elif self._job.sweep:
            corner = self._head(self._pairs[0].styles)
            # Above each picture; in the heading it would be mistaken for the style.
            captions = [head.caption for head in heads]
            heads = [grid.Cell(None)] * len(heads)
        yield [corner, *heads]
        for row in self._rows:
            pairs = [made[row, column] for column in self._columns]
            cells = [self._cell(*cell, written) for cell in zip(pairs, captions)]
            yield [self._head(row), *cells]

    def _head(self, what):
        """Returns the heading of a row or column: names of pictures, or a setting."""
        if isinstance(what[0], tuple):
            return grid.Cell(None, "\n".join(map("=".join, what)))
        failed = "" if self._thumbnails.keys() >= {*what} else " (failed)"
        caption = " + ".join(map(plan.stem_of, what)) + failed
        # A blend has no picture of its own.
        picture = self._thumbnails.get(what[0]) if len(what) == 1 else None
        return grid.Cell(picture, caption)

    def _cell(self, pair, caption, written):
        if pair.output not in written:
            return grid.Cell(None, caption)
        picture = images.load_image(modes.of(self._job).picture_path(pair.output))
        return grid.Cell(grid.thumbnail(picture, self._side), caption)
