"""The explorer in a real browser, Chromium, driven by Playwright; without it these tests are skipped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from chromium import NEEDS_CHROMIUM, Watched, windows
from commons_data import header, made_up_run, record
from explorer import TOKEN, Served, served
from report_runs import HOSTILE, evolved, hostile

from a4nn_core.commons import Commons, RunWriter
from a4nn_core.explore import window

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("explored")
    commons = folder / "commons"
    evolved(commons)
    hostile(commons)
    made_up_run(commons, "plain", 5, failed=(1,))
    with served(commons, folder / "files") as found:
        yield found


@dataclass
class Opened(Watched):
    """A page of an explorer."""

    served: Served = field(kw_only=True)

    def one(self, selector: str, has_text: str | None = None) -> Locator:
        return self.page.locator(selector, has_text=has_text)

    def settle(self) -> None:
        """Wait until all that is in sight is drawn."""
        self.page.wait_for_timeout(100)  # what comes into sight asks a moment later
        self.one("body[data-drawn][data-waiting='0']").wait_for(state="attached")

    def see(self, selector: str) -> Locator:
        found = self.one(selector)
        found.scroll_into_view_if_needed()
        self.settle()
        return found

    def traces(self, chart: str = "networks") -> list[dict[str, Any]]:
        self.see(f"#chart-{chart}")
        self.one(f"#chart-{chart}[data-state=drawn] .main-svg").first.wait_for()
        found: list[dict[str, Any]] = self.page.evaluate(
            f"document.querySelector('#chart-{chart}').data.map(t => ({{name: t.name, type: t.type, "
            "x: [...(t.x ?? [])], custom: [...(t.customdata ?? [])], symbol: t.marker?.symbol}))"
        )
        return found

    def networks(self) -> list[str]:
        """The rows of the table of networks."""
        self.see("#networks-table")
        rows = self.one("#networks-table tbody tr").all()
        return [row.get_attribute("data-network") or "" for row in rows]


@pytest.fixture
def open_page(browser: Browser, shown: Served) -> Iterator[Any]:
    with windows(browser) as new:

        def opened(fragment: str = "", width: int = 1400, of: Served | None = None) -> Opened:
            found = Opened(new(width, 1000), served=of or shown)
            found.page.goto(f"{found.served.address}/?token={TOKEN}{fragment}")
            found.settle()
            return found

        yield opened


def test_it_opens_and_asks_nobody_else(open_page: Any, shown: Served) -> None:
    seen = open_page()
    assert seen.one("#summary").inner_text() == "3 runs, 29 networks"
    assert seen.one("#shown").inner_text() == "29 networks, 6 on the front"
    assert seen.one("#runs-table tbody tr").count() == 3
    assert {trace["name"] for trace in seen.traces()} >= {"front", "evolved", "plain, stopped early"}
    assert len(seen.networks()) == 29
    assert seen.traces("curves")
    assert TOKEN not in seen.page.url
    assert [url for url in seen.asked if not url.startswith((shown.address, "data:", "blob:"))] == []
    assert seen.errors == []


def test_one_choice_changes_every_view_and_is_in_the_address(open_page: Any) -> None:
    seen = open_page()
    seen.one("[data-run=evolved] input").check()
    seen.settle()
    assert seen.state() == {"run": "evolved"}
    assert seen.one("#shown").inner_text().startswith("12 networks, 3 on the front")
    assert seen.networks() == [f"evolved/{number}" for number in range(12)]
    seen.one("#show").select_option("stopped")
    seen.settle()
    assert len(seen.networks()) == 8
    seen.one("#add-bound").select_option("mflops")
    seen.one("#bound-0-most").fill("0.7")
    seen.one("#bound-0-most").press("Enter")
    seen.settle()
    left = seen.networks()
    assert 0 < len(left) < 8
    costs = {
        f"evolved/{n.network}": (n.flops or 0) / 1e6
        for n in Commons(seen.served.catalogue.store.path).networks("evolved")
    }
    assert all(costs[one] <= 0.7 for one in left)
    row = seen.one(f"#networks-table tr[data-network='{left[0]}']")
    row.click()
    seen.settle()
    assert seen.state()["pick"] == left[0]
    assert any(trace["symbol"] == "square-open" for trace in seen.traces())
    assert seen.networks() == [left[0]]
    assert seen.see("#compared").locator("svg").count() == 1
    seen.page.go_back()
    seen.settle()
    assert seen.networks() == left
    seen.one("#reset").click()
    seen.settle()
    assert seen.state() == {}
    assert len(seen.networks()) == 29
    assert seen.errors == []


def test_the_address_restores_the_view(open_page: Any) -> None:
    fragment = (
        "#run=evolved&show=stopped&x=parameters&y=test_accuracy_percent&bound=%5B%22mflops%22%2C0.5%2Cnull%5D"
        "&dominated=hidden&wish=,90&sort=mflops&order=down&words=evo&pick=evolved%2F4&pick=plain%2F0&curves=300"
    )
    seen = open_page(fragment)
    values = {
        name: seen.one(f"#{name}").input_value()
        for name in ("show", "x", "y", "words", "bound-0-least", "wish-y", "curves")
    }
    assert values == {
        "show": "stopped",
        "x": "parameters",
        "y": "test_accuracy_percent",
        "words": "evo",
        "bound-0-least": "0.5",
        "wish-y": "90",
        "curves": "300",
    }
    assert not seen.one("#dominated").is_checked()
    assert seen.one("#runs-table tbody tr").count() == 1
    assert seen.networks() == ["plain/0", "evolved/4"]
    assert seen.see("#compared").locator(".strip").count() == 2
    odd = open_page(
        "#x=<b>&y=constructor&show=__proto__&bound=%5B1%5D&bound=nonsense&window=3,1,a,&pick=%2F&pick=evolved%2F99&page=99&wish=a,b,c&run=gone"
    )
    assert "not in this commons: gone" in odd.one("#runs-shown").inner_text()
    odd.see("#networks-table")
    assert "1 of them is not in this commons" in odd.one("#chosen").inner_text()
    assert odd.errors == []


def test_the_mouse_zooms_selects_and_picks(open_page: Any) -> None:
    seen = open_page("#run=evolved")
    seen.traces()
    box = seen.one("#chart-networks .nsewdrag").first.bounding_box()
    assert box is not None

    def drag(left: float, top: float, right: float, bottom: float) -> None:
        seen.page.mouse.move(box["x"] + left * box["width"], box["y"] + top * box["height"])
        seen.page.mouse.down()
        seen.page.mouse.move(box["x"] + right * box["width"], box["y"] + bottom * box["height"], steps=5)
        seen.page.mouse.up()
        seen.page.wait_for_timeout(300)
        seen.settle()

    seen.one("#drag-select").click()
    drag(0.5, 0.0, 0.999, 0.999)
    low, high, bottom, top = map(float, seen.state()["area"].split(","))
    inside = {
        f"evolved/{n.network}"
        for n in Commons(seen.served.catalogue.store.path).networks("evolved")
        if low <= (n.flops or 0) / 1e6 <= high and bottom <= (n.best_accuracy_percent or 0) <= top
    }
    assert set(seen.networks()) == inside
    assert 0 < len(inside) < 12
    assert "in the area" in seen.one("#chosen").inner_text()
    seen.one("#clear").click()
    seen.settle()
    seen.one("#drag-zoom").click()
    seen.see("#chart-networks")
    box = seen.one("#chart-networks .nsewdrag").first.bounding_box()
    drag(0.5, 0.0, 0.999, 0.6)
    assert "window" in seen.state()
    seen.one("#whole").click()
    seen.settle()
    assert seen.state() == {"run": "evolved"}
    point = seen.one("#chart-networks .scatterlayer .trace .point").first.bounding_box()
    assert point is not None
    seen.page.mouse.click(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    seen.settle()
    assert seen.state()["pick"].startswith("evolved/")
    assert seen.errors == []


def test_choosing_from_the_front(open_page: Any) -> None:
    seen = open_page("#run=evolved")
    assert seen.one("#front tbody tr").count() == 3
    assert "cannot be told apart" in seen.one("#front").inner_text()
    seen.one("#wish-y").fill("0")
    seen.one("#wish-y").press("Enter")
    seen.settle()
    nearest = seen.one("#front tr.nearest").get_attribute("data-network")
    assert nearest == seen.one("#front tbody tr").first.get_attribute("data-network")
    seen.one("#pick-nearest").click()
    seen.settle()
    assert seen.state()["pick"] == nearest
    seen.one("#pick-front").click()
    seen.settle()
    assert len(seen.networks()) == 3
    seen.one("#dominated").uncheck()
    seen.settle()
    assert not any(trace["name"] == "evolved" for trace in seen.traces())


def test_sql_cancel_and_export(open_page: Any) -> None:
    seen = open_page()
    text = seen.see("#sql-text")
    text.fill("select run, network from networks where status = 'stopped' and run = 'plain' order by 2")
    text.press("Control+Enter")
    seen.settle()
    assert "rows in" in seen.one("#sql-state").inner_text()
    found = [row.inner_text().split() for row in seen.one("#sql-table tbody tr").all()]
    assert found[0][0] == "plain"
    seen.one("#sql-pick").click()
    seen.settle()
    assert seen.networks() == [f"plain/{network}" for _, network in found]
    text.fill("select * from read_csv('/etc/passwd')")
    seen.one("#sql-run").click()
    seen.settle()
    assert "cannot be answered" in seen.one("#sql-state.trouble").inner_text()
    text.fill("select count(*) from range(100000000) a, range(100000000) b where a.range % 7 = b.range % 11")
    seen.one("#sql-run").click()
    seen.one("#sql-cancel").click()
    seen.one("#sql-state", has_text="Cancelled.").wait_for()
    text.fill("select 1 as one")
    with seen.page.expect_download() as saved:
        seen.one("#sql-csv").click()
    assert Path(saved.value.path()).read_text(encoding="utf-8") == "one\n1\n"
    with seen.page.expect_download() as saved:
        seen.one("#export-json").click()
    document = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))
    assert [row["network"] for row in document["rows"]] == [int(network) for _, network in found]
    assert seen.one("#saved").inner_text() == "Saved."
    seen.one("#selection summary").click()
    seen.settle()
    query = seen.one("#selection-query").inner_text()
    assert len(Commons(seen.served.catalogue.store.path).sql(query).fetchall()) == len(found)
    # the browser tells of answers that refuse
    assert [error for error in seen.errors if "422" not in error] == []


def test_hostile_names_stay_text(open_page: Any) -> None:
    seen = open_page("#run=hostile&pick=hostile%2F7&pick=hostile%2F5&data=%3Cb%3Ex")
    seen.one("#data").select_option("")
    seen.settle()
    assert HOSTILE[0] in seen.one("#runs-table").inner_text()
    for part in ("#chart-networks", "#networks-table", "#chart-curves", "#compared"):
        seen.see(part)
    seen.see("#sql-text").fill(
        "select operator, termination_reason as \"<img src=x onerror='window.hacked=9'>\" from networks"
    )
    seen.one("#sql-run").click()
    seen.settle()
    assert "<img src=x" in seen.one("#sql-table thead").inner_text()
    assert seen.page.evaluate("window.hacked") is None
    assert seen.one("main img, main iframe, main script").count() == 0
    text = seen.one("body").inner_text()
    assert not set("\x1b\x00\u202e\u2066") & set(text)
    assert "\\x1b[31m" in text
    assert seen.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert seen.errors == []


def test_new_networks_of_a_running_search_appear(open_page: Any, tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    with RunWriter.open(commons, "live", header()) as writer, served(commons, tmp_path / "files") as of:
        seen = open_page(of=of)
        assert "No network has been recorded yet." in seen.one("#networks").inner_text()
        assert "1 running" in seen.one("#summary").inner_text()
        record(writer, 0, 8)
        record(writer, 1, 25)
        seen.one("#shown", has_text="2 networks").wait_for()
        seen.settle()
        assert seen.networks() == ["live/0", "live/1"]
        writer.finish("completed")
        seen.one("[data-run=live] .badge.completed").wait_for()
        assert seen.errors == []


def test_an_empty_commons_and_a_server_that_has_gone(open_page: Any, tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    commons.mkdir()
    (commons / "commons.json").write_text('{"layout": 1}', encoding="utf-8")
    with served(commons, tmp_path / "files") as of:
        seen = open_page(of=of)
        assert "There is no run in this commons yet." in seen.one("#runs-table").inner_text()
        seen.see("#networks-table")
        assert "No network is selected." in seen.one("#networks-table").inner_text()
        assert seen.errors == []
    seen.one("#message:not([hidden])").wait_for()
    assert "does not answer" in seen.one("#message").inner_text()


def test_many_networks_are_drawn_in_cells(open_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MOST_POINTS", 5)
    seen = open_page("#run=evolved")
    assert any(trace["type"] == "heatmap" for trace in seen.traces())
    assert "counted in cells" in seen.one("#shown").inner_text()
    assert seen.errors == []


def test_the_keyboard_suffices(open_page: Any) -> None:
    seen = open_page()
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.id") == "skip"
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.id") == "main"
    assert seen.state() == {}
    seen.networks()
    row = seen.one("#networks-table tbody tr").first
    row.focus()
    seen.page.keyboard.press("ArrowDown")
    seen.page.keyboard.press("Enter")
    seen.settle()
    assert seen.state()["pick"] == "evolved/1"
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


@pytest.mark.parametrize("width", [390, 2400])
def test_narrow_and_wide_windows(open_page: Any, width: int) -> None:
    seen = open_page("#pick=evolved%2F9&pick=evolved%2F4", width)
    for part in ("#chart-networks", "#networks-table", "#chart-curves", "#compared", "#sql"):
        seen.see(part)
    assert seen.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    box = seen.one("#chart-networks .main-svg").first.bounding_box()
    assert box is not None
    assert box["width"] <= width
    assert seen.errors == []


def test_text_has_contrast_and_controls_have_names(open_page: Any) -> None:
    seen = open_page("#bound=%5B%22mflops%22%2C0.1%2Cnull%5D&pick=evolved%2F9")
    for part in ("#networks-table", "#compared", "#sql"):
        seen.see(part)
    faint = seen.page.evaluate(
        """() => {
          const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
          const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number);
            return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
          const ground = (e) => { for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor;
            if (c !== 'rgba(0, 0, 0, 0)') return light(c); } return 1; };
          const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
          return [...document.querySelectorAll('header *, main *:not(svg *), form *')]
            .filter((e) => own(e) && e.offsetParent && !e.disabled)
            .filter((e) => (ground(e) + 0.05) / (light(getComputedStyle(e).color) + 0.05) < 4.5)
            .map((e) => e.tagName + ': ' + e.textContent.slice(0, 40));
        }"""
    )
    assert faint == []
    for control in seen.one("select, input, button, textarea").all():
        name = control.evaluate(
            "e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent"
        )
        assert re.search(r"\S", name)
