"""Text of strangers in records: shown as text, wherever it is shown, and stored as it is."""

from __future__ import annotations

import html
import io
import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pytest
import yaml
from command import a4nn
from commons_data import header, record
from deposits import metadata
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from a4nn_core.cli import progress
from a4nn_core.cli.tables import make_table
from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.check import Checked
from a4nn_core.commons.records import Network, Run
from a4nn_core.interchange.answer_formats import Format, write
from a4nn_core.jsonable import JsonText
from a4nn_core.logs import JsonLines, Plain
from a4nn_core.penguin.base import EpochPrediction, Prediction
from a4nn_core.penguin.plot import plot_traces
from a4nn_core.printable import code_span, html_text, json_printable, markdown, printable
from a4nn_core.publish.deposit.readme import readme
from a4nn_core.publish.models.found import Found
from a4nn_core.publish.models.model_card import model_card
from a4nn_core.spaces import SPACES
from a4nn_core.vocabulary import NetworkStatus, RunStatus

if TYPE_CHECKING:
    from a4nn_core.workflow.watcher import SearchView

EVIL = (
    "[red]x[/red] :smile: \x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07free\x1b]8;;\x07 "
    "\u202egnp.exe\u202c\r\n| <script>alert(1)</script> `*a*` $\\frac{a$"
)
SHOWN = (
    "[red]x[/red] :smile: \\x1b[31mred\\x1b[0m \\x1b]8;;https://evil.example\\x07free\\x1b]8;;\\x07 "
    "\\u202egnp.exe\\u202c\\r\\n| <script>alert(1)</script> `*a*` $\\frac{a$"
)
PAGE = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
NASTY = st.text(st.one_of(st.sampled_from("\\`*_[]()<>!|~&#$-+=:/;a1 \t\n\r\x1b\x9b\u202e"), st.characters()))


def terminal() -> tuple[Console, io.StringIO]:
    """A terminal with colours and links, and what arrives on it."""
    seen = io.StringIO()
    return Console(file=seen, force_terminal=True, color_system="truecolor", width=400), seen


# the cleaning itself


def test_every_character_that_acts_is_shown() -> None:
    assert printable(EVIL) == SHOWN
    assert printable("\x9b2J\x7f\u2028\u200b\ufeff\ud800\udcff\U000e0041") == (
        "\\x9b2J\\x7f\\u2028\\u200b\\ufeff\\ud800\\xff\\U000e0041"
    )


@pytest.mark.parametrize(
    "text",
    ["", "öffnen \u00a0±", "開く\u3000閉じる", "می\u200cخواهم", "👩\u200d🔬", "C:\\x1b", "e\u0301", "\ue000"],
)
def test_texts_of_all_scripts_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


@settings(max_examples=50)
@given(NASTY)
def test_json_keeps_its_content(text: str) -> None:
    shown = json_printable(json.dumps({text: [text]}, ensure_ascii=False, indent=1))
    assert json.loads(shown) == {text: [text]}
    assert all(printable(line) == line for line in shown.split("\n"))


@pytest.mark.slow
@settings(max_examples=100)
@given(NASTY)
def test_markdown_shows_the_text(text: str) -> None:
    def shown(page: str) -> str:
        assert "<" not in page.replace("<code>", "").replace("</code>", "")
        return re.sub(r"\s+", " ", html.unescape(re.sub("</?code>", "", page))).strip()

    expected = re.sub(r"\s+", " ", printable(text)).strip()
    assert shown(PAGE.renderInline(f"x{markdown(text)}")) == f"x{expected}".strip() or text[:1].isspace()
    assert shown(PAGE.renderInline(f"x {markdown(text)} y")) == f"x {expected} y".replace("  ", " ")
    assert shown(PAGE.renderInline(code_span(text))) == expected
    row = PAGE.render(f"|a|b|\n|-|-|\n| {markdown(text)} | 1 |\n")
    cells = re.findall("<td>(.*?)</td>", row, re.DOTALL)
    assert [shown(cell) for cell in cells] == [expected, "1"]


def test_words_and_addresses_keep_their_shape() -> None:
    plain = "my_run-0007, https://example.org/~me/a_b?x=1&y=2#top"
    assert markdown(plain) == plain


@settings(max_examples=50)
@given(NASTY)
def test_html_shows_the_text(text: str) -> None:
    assert html.unescape(html_text(text)) == printable(text)
    assert not set("<>\"'") & set(html_text(text))


# where it is shown


@pytest.fixture(scope="module")
def commons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commons with one run in which every text is a stranger's."""
    folder = tmp_path_factory.mktemp("strangers") / "commons"
    about = {"name": EVIL, "classes": [EVIL, "b"], "shape": [1, 8, 8], "validation": 50, "test": 50}
    with RunWriter.open(folder, "r", header(name=EVIL, dataset=about)) as writer:
        record(writer, 0, 5)
        writer.record(Network(network=1, status=NetworkStatus.failed, error=EVIL, genome=JsonText(EVIL)))
        writer.finish(RunStatus.completed, networks=2)
    return folder


def test_tables_of_sql(commons: Path) -> None:
    query = 'select error, error as "[red]\x1b[31m" from networks where error is not null'
    shown = a4nn("sql", query, "--commons", commons).stdout
    assert shown.count(SHOWN) == 2
    assert "[red]\\x1b[31m" in shown
    assert "\x1b" not in shown


def test_markdown_of_sql(commons: Path) -> None:
    query = "select error from networks where error is not null"
    page = PAGE.render(a4nn("sql", query, "--commons", commons, "--format", "md").stdout)
    assert f"<td>{html.escape(SHOWN)}</td>" in page


def test_data_of_sql_are_exact(commons: Path, tmp_path: Path) -> None:
    query = "select error from networks where error is not null"
    assert json.loads(a4nn("sql", query, "--commons", commons, "--json").stdout) == [{"error": EVIL}]
    a4nn("sql", query, "--commons", commons, "--format", "csv", "--out", tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_bytes() == f'error\n"{EVIL}"\n'.encode()


def test_csv_on_a_terminal_is_cleaned() -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    seen = Terminal()
    rows = pa.table({"error": [EVIL]})
    write(rows.schema, rows.to_batches(), Format.csv, seen)
    assert seen.getvalue().decode() == f"error\n{SHOWN}\n"


def test_tables_of_status_and_front() -> None:
    console, seen = terminal()
    console.print(make_table(["run"], [[EVIL]]))
    assert SHOWN in seen.getvalue()
    assert not re.search(r"\x1b\[[\d;]*3\d|\x1b\]", seen.getvalue())  # neither a colour nor a link


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = io.StringIO()
    console = progress.plain_console()
    console.file = seen
    failed = Network(network=1, status=NetworkStatus.failed, error=EVIL)
    progress._print(
        console, progress._outcome(cast("SearchView", None), failed)
    )  # asks nothing of the search
    assert seen.getvalue() == f"failed: {SHOWN}\n"
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    with progress.named_bars(console) as show:
        show(EVIL, 1, 2)
    assert "[red]x[/red]" in seen.getvalue()
    assert "\x1b]8" not in seen.getvalue()


def test_messages(tmp_path: Path) -> None:
    done = a4nn("status", EVIL, "--commons", tmp_path / EVIL.replace("/", ""))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "\x1b" not in done.stderr


def test_logs() -> None:
    line = JsonLines().format(logging.makeLogRecord({"msg": EVIL}))
    assert json.loads(line)["message"] == EVIL
    assert printable(line) == line
    assert Plain().format(logging.makeLogRecord({"msg": "one\n\x1b[31mtwo"})) == "one\n\\x1b[31mtwo"


@pytest.mark.slow
def test_pictures_of_curves(tmp_path: Path) -> None:
    trace = [EpochPrediction(1, Prediction(None), (), False)]
    for ending in ("png", "html"):
        plot_traces({EVIL: [50.0]}, {EVIL: trace}, 2, tmp_path / f"curves.{ending}", title=EVIL)
    data = (tmp_path / "curves.html").read_text().rpartition("Plotly.newPlot(")[2]
    assert "<script>" not in data
    assert "u001b" not in data
    assert "red\\\\x1b[0m" in data  # within a text of JavaScript


def test_the_readme_of_a_deposit(commons: Path) -> None:
    run = Commons(commons).run("r")
    about = metadata(title=EVIL, description=f"{EVIL}\n\nSecond paragraph.")
    page = readme(about, [], [], None, {"r": run}, {"r": 2}, Commons(commons).front("r"), [EVIL])
    shown = PAGE.render(page)
    assert "\x1b" not in page
    assert "<script>" not in shown
    assert shown.count(html.escape(SHOWN)) == 3  # title, remark, data set
    assert "<p>Second paragraph.</p>" in shown


def test_a_model_card(commons: Path) -> None:
    space = SPACES.make("macro", "test")
    architecture = space.decode(space.genome(space.upper * 0), (1, 8, 8), 2)
    run = Commons(commons).run("r")
    network = replace(
        Commons(commons).networks("r")[0], operator=EVIL, termination_reason=EVIL, genome=JsonText(EVIL)
    )
    page = model_card(Found(run, network, architecture), [network])
    assert not set("\x1b<") & set(page.partition("\n# ")[0])
    _, top, body = page.split("---\n", 2)
    assert yaml.safe_load(top)["datasets"] == [EVIL]
    shown = PAGE.render(body)
    assert "\x1b" not in body
    assert "<script>" not in shown
    assert shown.count(html.escape(SHOWN)) == 6  # class, data set twice, operator, reason, genome


@pytest.mark.slow
def test_artifacts_of_prefect(commons: Path) -> None:
    from a4nn_core.workflow.summary import summarise
    from a4nn_flows.artifacts import _generation_row, _report
    from a4nn_flows.maintain import _report as _maintained

    row: dict[str, Any] = _generation_row(Commons(commons).networks("r")[1], Run().images)
    assert row["genome"] == SHOWN
    summary = replace(summarise(Commons(commons), "r"), run=EVIL, commons=EVIL)
    checked = Checked(problems=[EVIL], notes=[EVIL])
    for page, times in ((_report(summary), 2), (_maintained(Path("c"), checked), 2)):
        assert "<script>" not in PAGE.render(page)
        assert PAGE.render(page).count(html.escape(SHOWN)) == times
