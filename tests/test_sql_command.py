"""``a4nn sql``: where queries come from, how answers are shown and written, and Ctrl-C."""

from __future__ import annotations

import io
import json
import math
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import A4NN, a4nn
from commons_data import made_up_run

from a4nn_core.commons import Commons
from a4nn_core.interchange.answer_formats import Format, write
from a4nn_core.interchange.answer_values import interval_text, people_cell


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sql") / "commons"
    made_up_run(path, networks=8)
    return path


@pytest.fixture
def asked(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder to work in, with the commons named by the environment."""
    monkeypatch.setenv("A4NN_COMMONS", str(folder))
    return tmp_path


def ask(*words: str | Path, cwd: Path | None = None) -> str:
    done = a4nn("sql", *words, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(*words: str | Path, cwd: Path | None = None) -> str:
    done = a4nn("sql", *words, cwd=cwd)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


EVERY_KIND = """
select interval '2 h 13 min 5.25 s' as took, timestamptz '2026-01-02 03:04:05.5+01' as moment, x,
       0.1::float as f, sum(network) as total, {'low': 1.5} as span, e'a|b\\nc' as words,
       null as nothing, 1 as f
from networks, (values ('NaN'::double), ('inf'), ('-inf'), (1.5)) t(x)
group by x order by x
"""


class TestFormats:
    def test_csv(self, asked: Path) -> None:
        ask(EVERY_KIND, "--out", asked / "a.csv")
        text = (asked / "a.csv").read_text()
        assert text.splitlines()[:3] == [
            "took,moment,x,f,total,span,words,nothing,f_2",
            '2 h 13 min 5.25 s,2026-01-02T02:04:05.500000+00:00,-inf,0.1,28,"{""low"": 1.5}","a|b',
            'c",,1',
        ]
        ask(EVERY_KIND, "--out", asked / "a.tsv")
        tabs = pd.read_csv(asked / "a.tsv", sep="\t")
        for read in (
            tabs,
            pd.read_csv(asked / "a.csv"),
            duckdb.read_csv(str(asked / "a.csv"), dtype={"x": "double"}).df(),
        ):
            assert list(read.x[:3]) == [-math.inf, 1.5, math.inf]
            assert math.isnan(read.x[3])
            assert list(read.words) == ["a|b\nc"] * 4
        assert list(pd.to_timedelta(tabs.took)) == [pd.Timedelta("2:13:05.25")] * 4

    def test_json(self, asked: Path) -> None:
        for name in ("a.json", "a.jsonl", "a.ndjson"):
            file = asked / name
            ask(EVERY_KIND, "--out", file)
            x = duckdb.sql(f"select x, took::interval, moment from read_json('{file}')").fetchall()
            assert [row[0] for row in x[:3]] == [-math.inf, 1.5, math.inf]
            assert math.isnan(x[3][0])
            assert x[0][1] == pd.Timedelta("2:13:05.25")
            assert list(pd.read_json(file, lines=name != "a.json").x[:3]) == [-math.inf, 1.5, math.inf]
        first = json.loads((asked / "a.jsonl").read_text().splitlines()[1])
        assert first == {
            "took": "2 h 13 min 5.25 s",
            "moment": "2026-01-02T02:04:05.500000+00:00",
            "x": 1.5,
            "f": 0.1,
            "total": 28,
            "span": {"low": 1.5},
            "words": "a|b\nc",
            "nothing": None,
            "f_2": 1,
        }
        assert json.loads(ask("select 1 as a where false", "--json")) == []
        assert ask("select 1 as a where false", "--format", "jsonl") == ""
        query = "select network, fitness, parents, genome from networks where network = 5"
        [row] = json.loads(ask(query, "--json"))
        assert (row["network"], row["parents"], row["genome"]) == (5, [3, 2], "[[1,1,0],[1,0,2]]")
        assert set(row["fitness"]) == {"error_percent", "mflops"}

    @pytest.mark.slow
    def test_parquet(self, asked: Path, folder: Path) -> None:
        ask(EVERY_KIND, "--out", asked / "a.parquet")
        stored = pq.read_table(asked / "a.parquet")
        assert stored.schema.field("took").type == pa.duration("us")
        assert stored["x"].to_pylist()[:3] == [-math.inf, 1.5, math.inf]
        assert str(stored["moment"][0].as_py()) == "2026-01-02 02:04:05.500000+00:00"
        with mock.patch("a4nn_core.interchange.answer_formats.batch_rows", return_value=2048):
            ask("from range(5000)", "--out", asked / "b.parquet")
        assert pq.read_table(asked / "b.parquet")["range"].to_pylist() == list(range(5000))
        words = [*A4NN, "sql", "from epochs", "--format", "parquet"]
        piped = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
        assert pq.read_table(pa.BufferReader(piped)).num_rows == len(Commons(folder).epochs("made-up"))
        for query, reason in (
            ("select interval '2 months' as age", "column 'age' has an interval with months"),
            ("select union_value(a := 1) as u", "Parquet cannot hold a column of the answer"),
        ):
            assert reason in refused(query, "--out", asked / "c.parquet")
        assert sorted(file.name for file in asked.iterdir()) == ["a.parquet", "b.parquet"]

    def test_markdown(self, asked: Path) -> None:
        ask(EVERY_KIND.replace("order by x", "order by x limit 1"), "--out", asked / "a.md")
        assert (asked / "a.md").read_text() == (
            "| took | moment | x | f | total | span | words | nothing | f_2 |\n"
            "| --- | --- | ---: | ---: | ---: | --- | --- | --- | ---: |\n"
            '| 2 h 13 min | 2026-01-02T02:04:05+00:00 | -inf | 0.1 | 28 | {"low": 1.5} | a\\|b\\nc |  | 1 |\n'
        )

    def test_text(self, asked: Path) -> None:
        query = "select network, operator, flops / 7 as part from networks where network in (3, 4) order by 1"
        ask(query, "--out", asked / "a.txt")
        assert (asked / "a.txt").read_text() == (
            "network  operator                   part\n"
            "-------  ------------------  -----------\n"
            "      3  sampling            2.37143e+07\n"
            "      4  crossover+mutation  2.97143e+07\n"
            "(2 rows)\n"
        )
        assert ask(query) == (asked / "a.txt").read_text()

    def test_the_suffix_must_name_a_format(self, asked: Path) -> None:
        told = refused("select 1", "--out", asked / "a.dat")
        assert "a.dat: the suffix does not name a format (.csv, .tsv, .json," in told
        ask("select 1 as a", "--out", asked / "a.dat", "--format", "csv")
        assert (asked / "a.dat").read_text() == "a\n1\n"
        assert "No such file or directory" in refused("select 1", "--out", asked / "none" / "a.csv")

    def test_rows(self, asked: Path) -> None:
        assert ask("from range(20000)", "--rows", "2", "--format", "csv") == "range\n0\n1\n"
        assert ask("from range(20000)", "--format", "csv").count("\n") == 20001
        assert ask("from range(20000)", "--rows", "0").endswith("19999\n(20,000 rows)\n")
        ask("from range(20000)", "--rows", "9000", "--out", asked / "a.parquet")
        assert pq.read_table(asked / "a.parquet").num_rows == 9000


class TestTerminal:
    def shown(self, rows: int, width: int, most: int | None = None) -> list[str]:
        made = {"name": [f"a longer name {n}" for n in range(rows)], "number": list(range(rows))}
        table = pa.table(made)
        file = io.BytesIO()
        write(table.schema, table.to_batches(), Format.table, file, rows=most, width=width)
        return file.getvalue().decode().splitlines()

    def test_a_table_that_fits(self) -> None:
        lines = self.shown(100, width=25)
        assert lines[:3] == [
            "name              number",
            "----------------  ------",
            "a longer name 0        0",
        ]
        assert lines[-2:] == [
            "a longer name 39      39",
            "(the first 40 rows; --rows 0 shows all, --out FILE writes all)",
        ]
        assert self.shown(40, width=25)[-1] == "(40 rows)"
        assert self.shown(100, width=25, most=100)[-1] == "(100 rows)"
        assert self.shown(0, width=25) == ["name  number", "----  ------", "(0 rows)"]

    def test_one_that_does_not_is_turned(self) -> None:
        assert self.shown(2, width=20) == [
            "-- row 1 -----------",
            "name    a longer name 0",
            "number  0",
            "-- row 2 -----------",
            "name    a longer name 1",
            "number  1",
            "(2 rows)",
        ]
        lines = self.shown(10, width=20)
        assert (len(lines), lines[-1]) == (
            16,
            "(the first 5 rows; --rows 0 shows all, --out FILE writes all)",
        )
        assert self.shown(10, width=20, most=0)[-1] == "(10 rows)"

    def test_long_values_go_on_under_their_beginning(self) -> None:
        table = pa.table({"text": ["0123456789" * 5]})
        file = io.BytesIO()
        write(table.schema, table.to_batches(), Format.table, file, width=36)
        assert file.getvalue().decode().splitlines()[1:3] == [
            "text  012345678901234567890123456789",
            "      01234567890123456789",
        ]

    @pytest.mark.slow
    @pytest.mark.usefixtures("asked")
    def test_on_a_terminal(self) -> None:
        out = on_a_terminal(["from runs"], columns=70).splitlines()
        assert out[0].startswith("-- row 1 ---")
        assert max(map(len, out)) == 70
        assert out[-1] == "(1 row)"


def on_a_terminal(words: Sequence[str], columns: int) -> str:
    near, far = pty.openpty()
    process = subprocess.Popen(
        [*A4NN, "sql", *words], stdout=far, stderr=far, env={**os.environ, "COLUMNS": str(columns)}
    )
    os.close(far)
    out = b""
    while True:
        try:
            data = os.read(near, 65536)
        except OSError:  # Linux says so that nobody writes any more
            break
        if not data:
            break
        out += data
    os.close(near)
    process.wait()
    return out.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("interval", "exact", "rounded"),
    [
        ((0, 0, 7_985_250_000_000), "2 h 13 min 5.25 s", "2 h 13 min"),
        ((0, 1, 785_000_000_000), "1 day 13 min 5 s", "24 h 13 min"),
        ((0, 0, 785_000_000_000), "13 min 5 s", "13 min 05 s"),
        ((0, 0, 250_000), "0.00025 s", "0.00025 s"),
        ((0, 0, 0), "0 s", "0 s"),
        ((0, 0, -7_980_000_000_000), "-2 h -13 min", "-2 h 13 min"),
        ((14, -3, 0), "14 months -3 days", "14 months -3 days"),
    ],
)
def test_intervals(interval: tuple[int, int, int], exact: str, rounded: str) -> None:
    value = pa.MonthDayNano(interval)
    assert interval_text(value) == exact
    assert people_cell(value) == rounded
    months, days, nanoseconds = interval
    again = duckdb.sql(
        f"select '{exact}'::interval = to_months({months}) + to_days({days}) "
        f"+ to_microseconds({nanoseconds // 1000})"
    )
    assert again.fetchall() == [(True,)]


class TestQueries:
    def test_from_a_file(self, asked: Path) -> None:
        file = asked / "query.sql"
        file.write_bytes(b"\xef\xbb\xbfselect count(*) as n -- of all\nfrom networks;\n")
        for words in ((f"@{file}",), ("--file", file)):
            assert ask(*words, "--format", "csv") == "n\n8\n"
        with mock.patch.object(sys, "stdin", io.StringIO("select 1 as a\n")):
            assert ask("-", "--format", "csv") == "a\n1\n"

    def test_what_is_no_query(self, asked: Path) -> None:
        assert "give one query: as text, as @FILE" in refused()
        assert "give one query" in refused("select 1", "--file", "x")
        assert "query file none.sql cannot be read: No such file" in refused("@none.sql", cwd=asked)
        (asked / "binary").write_bytes(b"\xff\xfe\x00")
        assert "binary is not text" in refused("--file", "binary", cwd=asked)
        for query in ("drop table networks", "select cast(operator as integer) from networks"):
            refused(query, "--out", asked / "a.csv")
        assert [file.name for file in asked.iterdir()] == ["binary"]
        assert "is not a commons" in refused("select 1", "--commons", asked / "none")


ENDLESS = "select a.range, b.range from range(1000000) a, range(1000000) b"
DEAF = "select jaro_winkler_similarity(repeat('ab', 500000), repeat('ba', 500000))"
"""within one call of a function, DuckDB does not hear that it shall end"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        pytest.param(
            f"select count(*) from ({ENDLESS}) t(a, b) where a * b % 7 = 3", id="before a row comes"
        ),
        pytest.param(ENDLESS, id="while rows are written"),
        pytest.param("select jaro_winkler_similarity(repeat('ab', 200000), repeat('ba', 200000))", id="deaf"),
    ],
)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_any_query_and_leaves_no_file(asked: Path, query: str, how: signal.Signals) -> None:
    process = subprocess.Popen(
        [*A4NN, "sql", query, "--out", asked / "a.csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a test run in the background of a shell hands on that Ctrl-C is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (begun := list(asked.iterdir())):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    while query == ENDLESS and begun[0].stat().st_size < 10_000:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(how)
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 130
    assert list(asked.iterdir()) == []


PEAKS = """
import resource, sys
from a4nn_core.cli.app import app
few, *much = sys.argv[1:]
def peak(rows, name):
    query = f"select range as a, range / 7 as b, 'text ' || range as c from range({rows})"
    app(["sql", query, "--out", name], standalone_mode=False)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
for name in much:
    before = peak(int(few), name)
for name in much:
    many = 1_000_000 if name.endswith((".csv", ".parquet")) else 200_000
    before, at = peak(many, name), before
    print(name, before - at)
"""


@pytest.mark.slow
def test_a_million_rows_take_no_more_memory_than_a_few(asked: Path) -> None:
    words = [sys.executable, "-P", "-c", PEAKS, "5000", "a.parquet", "a.jsonl", "a.txt", "a.md", "a.csv"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=asked)
    grown = {name: int(size) for name, size in map(str.split, done.stdout.splitlines())}
    assert set(grown) == set(words[-5:])
    # MB: what DuckDB and a row group hold; the rows as Python's values would be 60 for every 200,000
    assert {name: size for name, size in grown.items() if size > (80 if name == "a.parquet" else 30)} == {}
    assert (asked / "a.csv").read_text().count("\n") == 1_000_001
