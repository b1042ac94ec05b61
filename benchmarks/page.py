"""Measures start-up, painting and memory of the page in the browser.

    python benchmarks/page.py

Needs `pip install '.[app,browser]'` and Chromium. It starts the page, opens it, and
clicks "Paint" several times.
"""

import re
import shutil
import statistics
import subprocess
import sys
import time

import memory
from playwright.sync_api import sync_playwright

CLICKS = 13


def main():
    """Measures and prints."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "tf_style.app", "--no_browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as app:
        url = re.search(r"http://\S+/", app.stdout.readline())[0]
        print(f"address after {time.perf_counter() - began:.1f} s")
        try:
            _click(url, began, app.pid)
        finally:
            app.terminate()


def _click(url, began, pid):
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(url)
        page.locator("#one-paint").click()
        # Whatever stands there then: it has answered.
        page.locator("#one-status p", has_text=re.compile(".")).wait_for()
        print(f"first click answered after {time.perf_counter() - began:.1f} s")
        _wait_for_picture(page)
        print(f"first picture after {time.perf_counter() - began:.1f} s")
        seconds, held = [], []
        for _ in range(CLICKS):
            page.wait_for_timeout(300)
            before = page.locator("#slider img").last.get_attribute("src")
            clicked = time.perf_counter()
            page.locator("#one-paint").click()
            _wait_for_picture(page, before)
            seconds.append(time.perf_counter() - clicked)
            held.append(memory.resident(pid))
        browser.close()
    middle, worst = statistics.median(seconds), max(seconds)
    print(f"from click to fast picture: median {middle:.2f} s, worst {worst:.2f} s")
    print(f"MiB resident: {held[2]} after 3 clicks, {held[-1]} after {CLICKS}")


def _wait_for_picture(page, before=None):
    """Waits until another picture than the one before is loaded."""
    page.wait_for_function(
        """before => {
            const pictures = document.querySelectorAll("#slider img");
            const last = pictures[pictures.length - 1];
            return last && last.complete && last.naturalWidth
                && last.getAttribute("src") !== before;
        }""",
        arg=before,
        timeout=60_000,
    )


if __name__ == "__main__":
    main()
