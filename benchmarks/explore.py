"""The explorer at 10,000 or a million networks: what its server needs, and how long one waits in Chromium.

    python benchmarks/explore.py [--networks 10000] [--times 5] [--folder DIR]

Prints tables in Markdown. The commons is that of benchmarks/commons.py, in runs of 1,000 networks. A wait is
the time from an input until all views in sight show what follows from it (median). On a machine with other
load, CPU time is what counts. Needs playwright, psutil, and chromium on the path.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commons as synthetic
import httpx

TOKEN = "benchmark-of-the-explorer"
AXES = {"x": "mflops", "y": "best_accuracy_percent"}
TIGHT = {"bounds": [{"measure": "best_accuracy_percent", "least": 95}, {"measure": "mflops", "most": 200}]}
AREA = [
    {"measure": "mflops", "least": 90, "most": 110},
    {"measure": "best_accuracy_percent", "least": 90, "most": 99},
]
COLUMNS = ["best_accuracy_percent", "mflops", "parameters", "epochs_trained", "test_accuracy_percent"]


def questions() -> dict[str, tuple[str, dict[str, Any]]]:
    """What the page asks: words to path and body."""
    pair = [{"run": "run-00001", "network": 5}, {"run": "run-00002", "network": 7}]
    return {
        "scatter plot of all, with its front": ("scatter", AXES),
        "scatter plot, two constraints": ("scatter", {**AXES, "filter": TIGHT}),
        "scatter plot, zoomed in": ("scatter", {**AXES, "window": [100.0, 200.0, 95.0, 99.0]}),
        "table, sorted": (
            "networks",
            {"sort": "best_accuracy_percent", "descending": True, "columns": COLUMNS},
        ),
        "table, sorted, last page of 20": ("networks", {"sort": "mflops", "page": 19, "columns": COLUMNS}),
        "100 curves": ("curves", {"filter": TIGHT}),
        "1,000 curves": ("curves", {"filter": TIGHT, "most": 1000}),
        "two networks side by side": ("compare", {"picked": pair}),
        "export of an area, Parquet": ("export", {"area": AREA, "format": "parquet"}),
        "SQL: mean learning curve": (
            "sql",
            {
                "query": "select epoch, avg(validation_accuracy_percent) from epochs "
                "group by epoch order by epoch"
            },
        ),
    }


def asked(client: httpx.Client, times: int) -> dict[str, float]:
    """Median seconds of each answer. Constraints differ each time, so that no front is remembered."""
    found = {}
    for words, (path, body) in questions().items():
        took = []
        for turn in range(times):
            given = dict(body)
            if path == "scatter":
                kept = {**given.get("filter", {})}
                kept["bounds"] = [*kept.get("bounds", []), {"measure": "mflops", "least": turn / 1e6}]
                given["filter"] = kept
            begin = time.perf_counter()
            answer = client.post(f"/api/{path}", json=given)
            took.append(time.perf_counter() - begin)
            answer.raise_for_status()
        found[words] = statistics.median(took)
    return found


def interactions(page: Any) -> dict[str, Callable[[int], None]]:
    """What a person does, words to the input; each is told the how manieth time it is."""

    def to(fragment: str) -> Callable[[int], None]:
        return lambda turn: page.evaluate(f"location.hash = {fragment!r}.replace('TURN', {turn})")

    both = '["mflops",null,LEAST]'
    return {
        "choose another measure": lambda turn: page.locator("#x").select_option(
            ["parameters", "mflops"][turn % 2]
        ),
        "move a constraint": to("bound=" + both.replace("LEAST", "20TURN")),
        "hide what is dominated": lambda turn: page.locator("#dominated").set_checked(turn % 2 == 1),
        "zoom in": to("window=10TURN,300,90,99"),
        "select an area": to("area=10TURN,120,90,99"),
        "choose a run": to("run=run-0000TURN"),
        "pick a network": to("pick=run-00001/TURN"),
        "compare two": to("pick=run-00001/TURN&pick=run-00002/7"),
        "sort the table": lambda turn: page.locator("#networks-table th button").nth(3 + turn % 2).click(),
        "turn a page": to("page=TURN"),
    }


def busy() -> float:
    """CPU seconds of the server and the browser so far."""
    import psutil

    used = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used


Cost = tuple[float, float]
"""seconds, and CPU seconds"""


def waited(address: str, times: int) -> tuple[dict[str, Cost], Cost, Cost]:
    """Median costs of each interaction; those until the page is there, and of 1,000 curves."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(300_000)

        def settled(turn: int) -> None:
            page.wait_for_selector(f"body[data-drawn='{turn}'][data-waiting='0']", state="attached")

        def drawn() -> int:
            return int(page.locator("body").get_attribute("data-drawn") or 0)

        def cost(act: Callable[[], object], turn: int) -> Cost:
            begin, used = time.perf_counter(), busy()
            act()
            settled(turn)
            return time.perf_counter() - begin, busy() - used

        opened = cost(lambda: page.goto(address), 1)
        found = {}
        for words, act in interactions(page).items():
            took = []
            for turn in range(times):
                took.append(cost(functools.partial(act, turn), drawn() + 1))
            found[words] = (statistics.median(w for w, _ in took), statistics.median(c for _, c in took))
            before = drawn()
            if page.evaluate("location.hash") != "#x=mflops":
                page.evaluate("location.hash = 'x=mflops'")
                settled(before + 1)
        page.locator("#chart-curves").scroll_into_view_if_needed()
        page.wait_for_timeout(3000)
        curves = cost(lambda: page.locator("#curves").select_option("1000"), drawn() + 1)
        browser.close()
    return found, opened, curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the commons is, or is made")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="a4nn-explore-"))
    commons = folder / f"commons-{options.networks}"
    if not (commons / "archive" / "manifest.json").exists():
        synthetic.generate(commons, options.networks)
    command = [sys.executable, "-m", "a4nn_core", "explore", "--commons", commons, "--port", "0", "--no-open"]
    begin = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "A4NN_EXPLORE_TOKEN": TOKEN}
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        ready = time.perf_counter() - begin
        base = address.partition("/?")[0]
        cookie = {f"a4nn-explore-{base.rpartition(':')[2]}": TOKEN}
        with httpx.Client(base_url=base, cookies=cookie, timeout=600) as client:
            answers = asked(client, options.times)
        waits, opened, curves = waited(address, options.times)
        memory = Path(f"/proc/{server.pid}/status").read_text().split("VmHWM:")[1].split()[0]
        server.terminate()
    print(f"Machine: {platform.machine()}, {os.cpu_count()} cores, {platform.platform()}")
    print(f"{options.networks:,} networks, {options.times} times each\n")
    print(f"until the server listens: {ready:.1f} s; its memory at most: {int(memory) / 1024:.0f} MB")
    print("| answer of the server | seconds |\n|---|---|")
    for words, seconds in answers.items():
        print(f"| {words} | {seconds:.2f} |")
    print("\n| in Chromium | seconds | CPU seconds of server and browser |\n|---|---|---|")
    for words, (wait, used) in {"open the page": opened, **waits, "draw 1,000 curves": curves}.items():
        print(f"| {words} | {wait:.2f} | {used:.2f} |")
    if options.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
