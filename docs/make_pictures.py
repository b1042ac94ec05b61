"""Makes every picture of the docs: runs the commands that stand above them.

    python docs/make_pictures.py                # all
    python docs/make_pictures.py strength tile  # those of these names

A picture below a block of commands shows their result: the file of the same name, or
the contact sheet, or, for a sweep or several commands, all pictures side by side with
the settings that differ. This script draws the rest: the examples, masks, `photo.jpg`
(the harbour, enlarged) and a dark painting, `dark.jpg`. Only built-in models are used,
so no network is needed. Except for the seconds in the comparison, one machine always
makes the same pictures. It takes about five minutes on two cores.
"""

import concurrent.futures
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tf_style import images
from tf_style.images import grid

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "pictures"
PAGES = ("guide.md", "recipes.md", "troubleshooting.md")
# Commands, and the pictures below them.
BLOCK = re.compile(r"```sh\n((?:(?!```).)*)```\s+((?:!\[[^]]*\]\([^)]*\)\s*)+)", re.S)
LINK = re.compile(r"!\[[^]]*\]\(([^)]*)\)")
# What `draw` draws for the docs.
DRAWN = ("examples.jpg", "mask_sky.png", "mask_land.png", "mask_bowl.png")
# Longest side of a painting in a row; of larger ones than the other a detail stands
# beside.
SIDE, LARGE = 384, 1024
# Width at which GitHub shows a page.
PAGE = 840
# Settings that say nothing in a caption.
UNSAID = ("output", "model", "backbone", "steps", "sweep")


def blocks():
    """Returns commands, and links to the pictures of them, of all blocks."""
    for page in PAGES:
        for text, links in BLOCK.findall((DOCS / page).read_text("utf-8")):
            commands = text.replace("\\\n", "").strip().splitlines()
            yield commands, LINK.findall(links)


def draw(folder):
    """Draws what no command makes; photos and paintings for commands into a folder."""
    examples = {
        path.stem: images.load_image(path)
        for path in sorted((DOCS.parent / "examples").glob("*.jpg"))
    }
    cells = {
        name: grid.Cell(grid.thumbnail(picture, 160), name)
        for name, picture in examples.items()
    }
    photos = [cells.pop(name) for name in ("harbor", "still_life")]
    gap = [grid.Cell(None)] * (len(cells) - len(photos))
    save(PICTURES / "examples.jpg", grid.draw([photos + gap, [*cells.values()]]))

    y, x = np.mgrid[0:1:192j, 0:1:256j]
    sky = np.clip((0.5 - y) / 0.1, 0, 1)
    y, x = np.mgrid[0:1:256j, 0:1:256j]
    bowl = np.clip(4 - 4 * np.hypot((x - 0.57) / 0.42, (y - 0.55) / 0.27), 0, 1)
    masks = {"mask_sky": sky, "mask_land": 1 - sky, "mask_bowl": 1 - bowl}
    for name, mask in masks.items():
        grey = np.repeat(mask[..., None], 3, -1)
        images.save_image(PICTURES / f"{name}.png", grey)

    images.save_image(
        folder / "photo.jpg", images.fit_longest(examples["harbor"], 3000)
    )
    images.save_image(folder / "dark.jpg", 0.15 * examples["swirls"])


def make(commands, links, folder):
    """Runs commands, and makes the pictures that are to show what they wrote."""
    written = [run(command, folder) for command in commands]
    files = {path.stem: folder / path for path in itertools.chain(*written)}
    if " --sweep" in commands[0] and commands[0].count(" --sweep") < 2:
        files.pop("contact_sheet", None)
    for target in (DOCS / link for link in links):
        shown = files.get(target.stem) or files.get("contact_sheet")
        if target.suffix == ".gif":
            shutil.copy(shown, target)
        elif shown and len(commands) == 1:
            save(target, images.load_image(shown))
        else:
            save(target, draw_rows(commands, written, folder))


def run(command, folder):
    """Runs a command; returns the files that it says it wrote, in order."""
    _, *arguments = shlex.split(command)
    printed = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return [
        Path(path) for path in re.findall(r"^wrote (.*?)(?: \(.*)?$", printed, re.M)
    ]


def draw_rows(commands, written, folder):
    """Draws what commands painted: each a row, or all one, if each made a picture."""
    settings = [shlex.split(command)[3:] for command in commands]
    rows = []
    for own, paths in zip(settings, written):
        said = [flag for flag in own if not all(flag in other for other in settings)]
        said = [flag[2:] for flag in said if flag[2:].partition("=")[0] not in UNSAID]
        row = []
        for path, changed in zip(paths, swept(own)):
            picture = images.load_image(folder / path)
            row += draw_cells(picture, [*map(broken, said + changed)])
        rows.append(row)
    if len(rows) == sum(map(len, rows)):
        rows = [list(itertools.chain(*rows))]
    width = max(map(len, rows))
    return grid.draw([row + [grid.Cell(None)] * (width - len(row)) for row in rows])


def swept(flags):
    """Returns the values that a sweep gives each painting, as ["name=value"]."""
    sweep = [flag for flag in flags if flag.startswith("--sweep=")]
    if not sweep:
        return [[]]
    _, name, values = sweep[0].split("=")
    return [[f"{name}={value}"] for value in values.split(",")]


def broken(setting):
    """Breaks a setting in two lines where it would be cut."""
    return setting if len(setting) < 23 else setting.replace("=", "=\n")


def draw_cells(picture, caption):
    """Returns the cell of a painting; of a large one, with a detail beside it."""
    height, width = picture.shape[1:3]
    small = grid.thumbnail(picture, SIDE)
    if max(height, width) <= LARGE:
        return [grid.Cell(small, "\n".join(caption))]
    # Where four tiles of the built-in stylizer meet.
    top, left = LARGE - 3 * SIDE // 8, LARGE - SIDE // 2
    detail = picture[:, top : top + 3 * SIDE // 4, left : left + SIDE]
    return [
        grid.Cell(small, "\n".join([*caption, f"{width}x{height}"])),
        grid.Cell(detail, "\n".join([*caption, "a detail, pixel by pixel"])),
    ]


def save(path, picture):
    """Writes a picture as JPEG, smaller than the program would."""
    if path.parent == PICTURES and picture.shape[2] > PAGE:
        height, width = picture.shape[1:3]
        picture = images.resize(picture, round(height * PAGE / width), PAGE)
    pixels = Image.fromarray(images.to_uint8(picture[0]))
    pixels.save(path, quality=87, optimize=True, progressive=True)


def main():
    PICTURES.mkdir(exist_ok=True)
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name in ("configs", "docs", "examples"):
            (folder / name).symlink_to(DOCS.parent / name)
        draw(folder)
        # Starting up keeps one core busy; meanwhile another block paints.
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            making = [
                pool.submit(make, commands, links, folder)
                for commands, links in blocks()
                if not wanted or {Path(link).stem for link in links} & {*wanted}
            ]
            for future in concurrent.futures.as_completed(making):
                future.result()


if __name__ == "__main__":
    main()
