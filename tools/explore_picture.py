"""Make the picture of the explorer that the documentation shows.

    a4nn run quick --run-id quick
    python tools/explore_picture.py quick 9 4 docs/images/explore.png --commons commons

It shows the explorer as Chromium does, two networks of a run picked; needs playwright, and chromium
on the path.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("networks", type=int, nargs=2)
    parser.add_argument("out", type=Path)
    parser.add_argument("--commons", type=Path, default=Path("commons"))
    parser.add_argument("--width", type=int, default=1400)
    given = parser.parse_args()
    token = secrets.token_urlsafe(24)
    command = [sys.executable, "-m", "a4nn_core", "explore", "--commons", str(given.commons)]
    with subprocess.Popen(
        [*command, "--port", "0", "--no-open", "--token", token], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        picks = urlencode([("run", given.run), *(("pick", f"{given.run}/{n}") for n in given.networks)])
        screen(f"{address}#{picks}", given.out, given.width)
        server.terminate()


def screen(address: str, out: Path, width: int) -> None:
    """The whole page, all views drawn, without the box for SQL."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        # as high as the page, so that everything is in sight and drawn
        shown = browser.new_page(viewport={"width": width, "height": 2700})
        shown.set_default_timeout(120_000)
        shown.goto(address)
        for view in ("#chart-networks .main-svg", "#chart-curves .main-svg", "#compared svg"):
            shown.locator(view).first.wait_for()
        shown.locator("body[data-waiting='0']").wait_for(state="attached")
        box = shown.locator("#compare").bounding_box()
        assert box is not None
        shown.screenshot(path=out, clip={"x": 0, "y": 0, "width": width, "height": box["y"] + box["height"]})
        browser.close()


if __name__ == "__main__":
    main()
