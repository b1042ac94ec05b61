"""Measures start-up, painting and memory of the page in the browser.

    python benchmarks/page.py

Needs `pip install '.[app,browser]'` and Chromium. It starts the page, opens it, and
paints the built-in pictures: 30 by the quick method, 10 by the slow ones.
"""

import re
import shutil
import statistics
import subprocess
import sys
import time

import memory
from playwright.sync_api import sync_playwright

QUICK, SLOW = 30, 10
PAINTINGS = ("mosaic", "cubist", "watercolor", "woodcut", "swirls")
# When, in milliseconds of the page's own clock, a click's new picture is there.
CLICK = """key => new Promise((done) => {
    const picture = document.querySelector("#picture");
    const before = performance.now();
    const loaded = () => done(performance.now() - before);
    picture.addEventListener("load", loaded, { once: true });
    document.querySelector(`#paintings [data-key=${key}]`).click();
})"""


def main():
    """Measures and prints."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "tf_style.app", "--no_browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as app:
        url = re.search(r"http://\S+/", app.stdout.readline())[0]
        print(f"address after {time.perf_counter() - began:.1f} s")
        try:
            with sync_playwright() as playwright:
                path = shutil.which("chromium") or shutil.which("chromium-browser")
                browser = playwright.chromium.launch(
                    executable_path=path, args=["--no-sandbox"]
                )
                launched = time.perf_counter()
                page = browser.new_page()
                page.set_default_timeout(300_000)
                page.goto(url)
                page.locator("body[data-ready]").wait_for()
                opened = time.perf_counter() - launched
                print(f"page usable {opened:.1f} s after it was opened")
                _paint(page, began, app.pid)
                browser.close()
        finally:
            app.terminate()


def _paint(page, began, pid):
    page.evaluate(CLICK, PAINTINGS[0])
    print(f"first picture {time.perf_counter() - began:.1f} s after the command")
    # Until it is known how long the slow methods take, these are being tried.
    page.locator("[data-method=gatys] span", has_text="about").wait_for()
    seconds, held = [], []
    for number in range(QUICK):
        key = PAINTINGS[(number + 1) % len(PAINTINGS)]
        seconds.append(page.evaluate(CLICK, key) / 1000)
        page.locator("#status", has_text="painted in").wait_for()
        held.append(memory.resident(pid))
    middle, worst = statistics.median(seconds), max(seconds)
    print(f"from click to quick picture: median {middle:.2f} s, worst {worst:.2f} s")
    print(f"MiB resident: {held[2]} after 3 quick ones, {held[-1]} after {QUICK}")
    held = []
    for number in range(SLOW):
        said = page.locator(
            f"[data-method={'gatys' if number % 5 == 4 else 'neighbors'}]"
        )
        forecast, clicked = said.inner_text(), time.perf_counter()
        said.click()
        page.locator("#status", has_text="Step").wait_for()
        page.locator("#status", has_text="painted in").wait_for()
        took = time.perf_counter() - clicked
        held.append(memory.resident(pid))
        print(f"{' '.join(forecast.split())}: took {took:.1f} s", flush=True)
    print(f"MiB resident: {', '.join(map(str, held))} after each slow one")


if __name__ == "__main__":
    main()
