"""Make the pictures of a run that the documentation shows, from its records.

    a4nn run quick --run-id quick
    python tools/report_pictures.py quick 9 docs/images --commons commons

It writes front.png, the strip of one network's descent (film.png), why networks were stopped (regret.png) and
the first screen of the report as Chromium shows it (report.png; needs playwright, and chromium on the path).
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from a4nn_core.archaeology.figures import front_figure
from a4nn_core.archaeology.film import Album
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.stills import write_chart, write_film
from a4nn_core.archaeology.stops import stops_exhibit
from a4nn_core.commons import Commons
from a4nn_core.report.beside import REPORT
from a4nn_core.report.page import write_report


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("network", type=int, help="whose descent is drawn")
    parser.add_argument("out", type=Path)
    parser.add_argument("--commons", type=Path, default=Path("commons"))
    given = parser.parse_args()
    commons = Commons(given.commons)
    life = Life.read(commons, given.run)
    front_figure(commons, given.run, given.out / "front.png", REPORT)
    film = Album.read(commons, life).film(given.network)
    write_film(film, f"How network {given.network} came about", given.out / "film.png")
    write_chart(stops_exhibit(life).charts[0], given.out / "regret.png")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / REPORT
        write_report(commons, [given.run], page)
        screen(page, f"#network={given.network}", given.out / "report.png")


def screen(page: Path, selection: str, out: Path) -> None:
    """The first screen of a report, 1300 x 1150 pixels."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1300, "height": 1150})
        shown.goto(f"file://{page}{selection}")
        for name in ("front", "curves"):
            shown.locator(f"#chart-{name}[data-state=drawn] .main-svg").first.wait_for(timeout=120_000)
        shown.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main()
