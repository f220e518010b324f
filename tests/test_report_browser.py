"""The report in a real browser: Chromium, driven by Playwright. Without Chromium these tests are skipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from chromium import NEEDS_CHROMIUM, Watched, windows
from commons_data import header, made_up_run
from report_runs import HOSTILE, evolved, hostile

from a4nn_core.archaeology.film import Album
from a4nn_core.archaeology.life import Life
from a4nn_core.commons import Commons, RunWriter
from a4nn_core.report.page import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of several runs."""
    folder = tmp_path_factory.mktemp("pages")
    commons = folder / "commons"
    evolved(commons)
    hostile(commons)
    evolved(commons, "twin", 4)
    evolved(commons, "ratios", decibels=True)
    made_up_run(commons, "plain", 5)
    with RunWriter.open(commons, "nothing", header()):
        pass
    store = Commons(commons)
    for runs in (
        ["evolved"],
        ["hostile"],
        ["nothing"],
        ["evolved", "plain"],
        ["evolved", "twin"],
        ["ratios"],
    ):
        write_report(store, runs, folder / f"{'+'.join(runs)}.html")
    return folder


class Opened(Watched):
    """A page that is a report."""

    def one(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def says(self, selector: str, words: str) -> None:
        """The text of an element, which may come a moment after what was done."""
        from playwright.sync_api import expect

        expect(self.one(selector)).to_have_text(words, timeout=120_000)

    def drawn(self, chart: str) -> list[dict[str, Any]]:
        """The traces of a chart, once it is in sight."""
        self.one(f"#chart-{chart}").scroll_into_view_if_needed()
        self.one(f"#chart-{chart}[data-state=drawn] .main-svg").first.wait_for()
        found: list[dict[str, Any]] = self.page.evaluate(
            f"document.querySelector('#chart-{chart}').data.map(t => "
            "({name: t.name, type: t.type, mode: t.mode, x: [...(t.x ?? [])], y: [...(t.y ?? [])],"
            " custom: [...(t.customdata ?? [])], symbol: t.marker?.symbol, text: t.text}))"
        )
        return found


@pytest.fixture
def open_page(browser: Browser, pages: Path) -> Iterator[Any]:
    with windows(browser) as new:

        def opened(name: str, fragment: str = "", width: int = 1300) -> Opened:
            shown = Opened(new(width, 900, offline=True))
            shown.page.goto(f"file://{pages / name}.html{fragment}")
            return shown

        yield opened


def chosen_in(traces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is drawn on top of a chart for the chosen networks."""
    return [trace for trace in traces if trace["symbol"] in ("square-open", "diamond-open")]


def test_it_opens_alone_and_says_what_was_found(open_page: Any) -> None:
    shown = open_page("evolved")
    front = shown.drawn("front")
    assert {trace["name"] for trace in front} >= {"Pareto front", "stopped early, interval predicted"}
    assert shown.page.title() == "evolved"
    assert "12 networks trained" in shown.one("#summary").inner_text()
    shown.says("#shown", "12 of 12 networks shown")
    titles = shown.one("section h2").all_inner_texts()
    assert titles[0] == "What did the search find?"
    assert titles[-1] == "How was this run made, and what did it cost?"
    for chart in shown.one(".chart").all():  # every figure is drawn when it comes into sight
        name = (chart.get_attribute("id") or "").removeprefix("chart-")
        if chart.locator(".empty").count() == 0:
            assert shown.drawn(name), name
    assert shown.errors == []
    assert [url for url in shown.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_one_choice_changes_every_view_and_is_in_the_address(open_page: Any) -> None:
    shown = open_page("evolved")
    before = shown.drawn("front")
    shown.one("#network").select_option("9")
    assert shown.state()["network"] == "9"
    (marked,) = chosen_in(shown.drawn("front"))
    dots = next(t for t in before if t["custom"] and 9 in t["custom"])
    place = dots["custom"].index(9)
    assert (marked["x"], marked["y"]) == ([dots["x"][place]], [dots["y"][place]])
    assert chosen_in(shown.drawn("family"))
    assert "network 9" in shown.one("#about").inner_text()
    steps = shown.one(".strip[data-step]")
    assert steps.last.get_attribute("data-step") == "9"
    assert "founder" in steps.first.inner_text()
    assert shown.one("#film .strip").count() == 3 + 2 * 2  # three steps, two of them with both parents
    shown.one("#next").click()
    assert shown.state()["network"] == "10"
    shown.page.go_back()
    assert shown.state()["network"] == "9"
    assert shown.one("#network").input_value() == "9"
    shown.one("#other").select_option("4")
    assert shown.state() == {"network": "9", "other": "4"}
    assert shown.one("#difference svg").count() == 2
    assert "connections" in shown.one("#difference-words").inner_text()
    assert len(chosen_in(shown.drawn("front"))) == 2
    assert shown.errors == []


def test_any_two_networks_are_compared_as_python_does(open_page: Any, pages: Path) -> None:
    store = Commons(pages / "commons")
    album = Album.read(store, Life.read(store, "evolved"))
    shown = open_page("evolved")
    for old, new in ((0, 11), (3, 7), (5, 6), (10, 1)):
        shown.page.evaluate(f"location.hash = 'network={old}&other={new}'")
        shown.one(f"#difference svg[aria-label='network {new}']").wait_for()
        words = album.difference(min(old, new), max(old, new)).text()
        shown.says("#difference-words", words)
    # and a network of another run, which no other figure marks
    both = open_page("evolved+twin", "#network=3")
    both.one("#other-run").select_option("twin")
    both.one("#other").select_option("3")
    both.says("#difference-words", "the same network")
    assert both.one("#difference svg").last.get_attribute("aria-label") == "network 3 of twin"
    assert both.state() == {"run": "evolved", "network": "3", "other": "3", "otherRun": "twin"}
    assert len(chosen_in(both.drawn("front"))) == 1
    both.one("#run").select_option("twin")
    assert both.state() == {"run": "twin"}
    assert shown.errors == both.errors == []


def test_a_click_on_a_point_chooses_its_network(open_page: Any) -> None:
    shown = open_page("evolved", "#network=1")
    shown.drawn("front")
    point = shown.one("#chart-front .scatterlayer .trace .point").nth(2)
    box = point.bounding_box()
    assert box is not None
    shown.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert shown.state()["network"].isdigit()
    assert shown.state()["network"] != "1"


def test_the_filter_leaves_networks_out_of_figures_tables_and_cards(open_page: Any) -> None:
    shown = open_page("evolved")
    shown.one("#front details summary").first.click()
    shown.one("#front tbody tr").first.wait_for()  # a table is made when it is opened, a moment later
    assert shown.one("#front tbody tr:visible").count() == 12
    shown.one("#show").select_option("stopped")
    shown.says("#shown", "8 of 12 networks shown")
    assert shown.one("#front tbody tr:visible").count() == 8
    numbers = {n for trace in shown.drawn("front") for n in trace["custom"]}
    assert numbers == {1, 2, 4, 5, 7, 8, 10, 11}
    shown.one("#from").fill("2")
    shown.one("#from").press("Enter")
    shown.says("#shown", "3 of 12 networks shown")
    assert shown.one(".card:visible").count() == 2 + 1
    assert shown.state() == {"network": shown.one("#network").input_value(), "show": "stopped", "from": "2"}
    shown.one("#reset").click()
    shown.says("#shown", "12 of 12 networks shown")


def test_streams_show_all_descendants_whatever_the_filter_leaves(open_page: Any) -> None:
    whole = open_page("evolved").drawn("streams")
    assert len(whole) > 1
    assert open_page("evolved", "#show=front").drawn("streams") == whole


def test_the_address_restores_the_view(open_page: Any) -> None:
    shown = open_page("evolved", "#network=7&other=3&show=stopped&from=1&to=1&relatives=ancestors&focus=1")
    shown.drawn("front")
    values = {
        name: shown.one(f"#{name}").input_value() for name in ("network", "other", "show", "from", "to")
    }
    assert values == {"network": "7", "other": "3", "show": "stopped", "from": "1", "to": "1"}
    assert shown.one("#relatives").input_value() == "ancestors"
    assert "network 1 and its descendants" in shown.one("#family .controls").inner_text()
    odd = open_page("evolved", "#network=99&other=x&show=<b>&from=-1&relatives=constructor&focus=1e9&run=no")
    odd.says("#shown", "12 of 12 networks shown")
    assert odd.errors == []


def test_the_family_on_demand(open_page: Any) -> None:
    shown = open_page("evolved", "#network=4")

    def members() -> set[int]:
        return {n for trace in shown.drawn("family") for n in trace["custom"] if isinstance(n, int)}

    assert members() == set(range(12))
    shown.one("#relatives").select_option("ancestors")
    assert members() == {0, 1, 4}
    shown.one("#relatives").select_option("descendants")
    assert members() == {4, 8, 11}
    shown.one("#relatives").select_option("all")
    shown.one("#zoom-in").click()
    assert members() == {4, 8, 11}
    shown.one("#zoom-out").click()  # to its first parent
    assert members() == {0, 4, 7, 8, 10, 11}
    shown.one("#zoom-out").click()
    assert members() == set(range(12))
    shown.one("#to").fill("1")
    shown.one("#to").press("Enter")
    assert members() == set(range(8))


def test_tables_sort_and_follow_the_keyboard(open_page: Any) -> None:
    shown = open_page("evolved", "#network=0")
    shown.one("#front details summary").first.click()
    shown.one("#front thead button").nth(5).click()
    rows = shown.one("#front tbody tr")
    accuracies = [float(row.locator("td").nth(5).inner_text()) for row in rows.all()]
    assert accuracies == sorted(accuracies)
    rows.first.focus()
    shown.page.keyboard.press("ArrowDown")
    shown.page.keyboard.press("Enter")
    assert shown.state()["network"] == rows.nth(1).get_attribute("data-network")
    assert rows.nth(1).get_attribute("aria-selected") == "true"
    assert "select n.network" in shown.one("#front pre").inner_text() or shown.one("#front pre").count() == 1
    with shown.page.expect_download() as saved:
        shown.one(
            "#front button",
        ).filter(has_text="Save as CSV").click()
    assert Path(saved.value.path()).read_text(encoding="utf-8").startswith("network,generation,status,")
    shown.page.keyboard.press("Tab")  # what has the focus can be seen
    assert shown.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_hostile_names_stay_text(open_page: Any) -> None:
    shown = open_page("hostile", "#network=7&other=5")
    for chart in shown.one(".chart").all():
        name = (chart.get_attribute("id") or "").removeprefix("chart-")
        if chart.locator(".empty").count() == 0:
            shown.drawn(name)
    for details in shown.one("details").all():
        details.locator("summary").first.click()
    assert HOSTILE[0] in shown.one("#summary").inner_text()
    assert shown.page.evaluate("window.hacked") is None
    assert shown.one("main img, main iframe, main script").count() == 0
    assert shown.one("svg a").count() == 0
    text = shown.one("body").inner_text()
    assert not set("\x1b\x00\u202e\u2066") & set(text)
    assert "\\x1b[31m" in text
    assert shown.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert shown.errors == []


@pytest.mark.parametrize("width", [390, 2400])
def test_narrow_and_wide_windows(open_page: Any, width: int) -> None:
    shown = open_page("evolved", "#network=9&other=4", width)
    for name in ("front", "ranks", "timeline"):
        shown.drawn(name)
    assert shown.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    box = shown.one("#chart-front .main-svg").first.bounding_box()
    assert box is not None
    assert box["width"] <= width


def test_an_empty_run_and_several_runs(open_page: Any) -> None:
    empty = open_page("nothing")
    assert "no network has finished yet" in empty.one("#chart-front").inner_text()
    assert "No network has ended yet." in empty.one("#film").inner_text()
    assert empty.errors == []
    several = open_page("evolved+plain", "#network=9")
    assert len(several.drawn("tradeoff")) == 1
    several.one("#run").select_option("plain")
    assert several.state() == {"run": "plain"}
    assert "5 networks trained" in several.one("#summary").inner_text()
    several.says("#shown", "5 of 5 networks shown")
    assert several.drawn("front")
    assert several.errors == []


def test_text_has_contrast_and_controls_have_names(open_page: Any) -> None:
    shown = open_page("evolved")
    shown.drawn("front")
    faint = shown.page.evaluate(
        """() => {
          const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
          const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number);
            return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
          const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
          return [...document.querySelectorAll('header *, main *:not(svg *), form *')]
            .filter((e) => own(e) && e.offsetParent && !e.disabled)
            .filter((e) => (1.05) / (light(getComputedStyle(e).color) + 0.05) < 4.5)
            .map((e) => e.tagName + ': ' + e.textContent.slice(0, 40));
        }"""
    )
    assert faint == []
    for control in shown.one("select, input, button").all():
        name = control.evaluate(
            "e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent"
        )
        assert name.strip()


def test_a_run_that_restores_images_is_shown_in_decibels(open_page: Any) -> None:
    shown = open_page("ratios", "#network=8")
    texts = [text for trace in shown.drawn("front") if trace["name"] for text in trace["text"]]
    assert len(texts) >= 12
    ratio = r"-?\d+\.\d\d ±"
    said = re.compile(rf"<br>validation {ratio} 0\.25 dB, test {ratio} 0\.50 dB<br>")
    assert all(said.search(text) for text in texts)
    assert re.search(rf"validation {ratio} 0\.25 dB ", shown.one("#about").inner_text())
    for place in ("#film h3", ".card"):
        words = " ".join(shown.one(place).all_inner_texts())
        assert " dB" in words
        assert not re.search("%|points", words)
    labels = shown.one(".card svg text").all_text_contents()
    ends = [label for label in labels if re.fullmatch(r"-?\d+\.\d dB", label)]
    assert len(ends) == 2 * shown.one(".card").count() > 0
    assert shown.errors == []


def test_a_printed_page_has_figures_and_no_tools(open_page: Any) -> None:
    shown = open_page("evolved")
    shown.drawn("front")
    shown.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    shown.page.emulate_media(media="print")
    assert not shown.one("#tools").is_visible()
    assert shown.one(".chart[data-state=stale]").count() == 0
    assert shown.one("#chart-timeline .main-svg").first.is_visible()
