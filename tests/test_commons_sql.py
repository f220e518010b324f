"""SQL over a commons: one SELECT, and nothing of the machine in reach."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from commons_data import made_up_run
from typer.testing import CliRunner

from a4nn_core.cli.sql import sql
from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput

app = typer.Typer()
app.command()(sql)
app.command("other")(lambda: None)  # with two commands typer keeps their names
runner = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sql") / "commons"
    made_up_run(path, networks=8)
    return path


@pytest.fixture
def commons(folder: Path) -> Commons:
    return Commons(folder)


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from networks",
        "with n as (from networks) select count(*) from n",
        "from networks select count(*)",
        "select count(*) from query_table('net' || 'works')",
        "select count(*) from query('select * from networks')",
        'select count(*) from "NETWORKS"',
    ],
)
def test_ways_to_say_select(commons: Commons, query: str) -> None:
    assert commons.sql(query).fetchall() == [(8,)]


def test_lineage(commons: Commons) -> None:
    rows = commons.sql("select network, parent from lineage where network = 5 order by all").fetchall()
    assert rows == [(5, 2), (5, 3)]
    assert commons.sql("select count(*) from lineage where generation = 0").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "query",
    [
        "copy networks to '{file}'",
        "copy (select 1) to '{file}' (format parquet)",
        "attach '{file}' as other",
        "set threads = 1",
        "set enable_external_access = true",
        "reset enable_external_access",
        "install httpfs",
        "load httpfs",
        "pragma database_list",
        "select 1; select 2",
        "select 1; copy (select 1) to '{file}'",
        "create table t as select 1",
        "create macro f() as table select * from read_text('/etc/passwd')",
        "insert into networks select * from networks",
        "delete from networks",
        "drop view lineage",
        "explain select 1",
        "explain analyze select 1",
        "call pragma_version()",
        "export database '{file}'",
        "checkpoint",
        "begin",
        "prepare p as select 1",
        "",
        "  -- nothing",
    ],
)
def test_what_is_no_select_is_refused(commons: Commons, tmp_path: Path, query: str) -> None:
    with pytest.raises(BadInput, match="only one SELECT statement"):
        commons.sql(query.format(file=tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('{file}')",
        "select * from read_csv_auto('{file}')",
        "select * from read_text('{file}')",
        "select * from read_blob('{file}')",
        "select * from read_json('{file}')",
        "select * from read_json_objects('{file}')",
        "select * from read_parquet('{parquet}')",
        "select * from parquet_scan('{parquet}')",
        "select * from parquet_metadata('{parquet}')",
        "select * from parquet_schema('{parquet}')",
        "select * from read_duckdb('{file}')",
        "select * from sniff_csv('{file}')",
        "select * from glob('{folder}/*')",
        "select * from '{file}'",
        "select * from '{parquet}'",
        "select * from 'https://example.org/x.csv'",
        "select * from networks union all by name select * from read_text('{file}')",
        "select (select content from read_text('{file}')) from networks",
        "select * from query('from read_text(''{file}'')')",
        "from json_execute_serialized_sql(json_serialize_sql('select * from read_text(''{file}'')'))",
        "select getenv('HOME')",
        "select * from a_table_of_the_program",
        "select * from which_secret('s3://x', 's3')",
        "select * from enable_logging()",
        "select * from enable_profiling()",
    ],
)
def test_a_select_reaches_nothing_but_the_commons(commons: Commons, tmp_path: Path, query: str) -> None:
    a_table_of_the_program = pa.table({"secret": [42]})
    assert a_table_of_the_program.num_rows == 1
    file = tmp_path / "secret.csv"
    file.write_text("secret\n42\n")
    text = query.format(
        file=file,
        parquet=commons.path / "runs" / "made-up" / "tables" / "networks" / "0000.parquet",
        folder=tmp_path,
    )
    with pytest.raises(Exception, match=r"disabled|not exist|locked|cannot be answered|Permission") as caught:
        commons.sql(text).fetchall()
    assert "42" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["secret.csv"]


def test_results_cannot_be_written_by_the_relation_either(commons: Commons, tmp_path: Path) -> None:
    relation = commons.sql("select 1 as one")
    with pytest.raises(Exception, match="disabled"):
        relation.write_parquet(str(tmp_path / "x.parquet"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select * from network", 'name network does not exist.*"networks"'),
        ("select accuracy from networks", 'column "accuracy" not found'),
        ("selec 1", "syntax error"),
        ("select network + from networks", "syntax error"),
    ],
)
def test_mistakes_get_one_clear_sentence(commons: Commons, query: str, message: str) -> None:
    with pytest.raises(BadInput, match=f"(?i)^the query cannot be answered: .*{message}") as caught:
        commons.sql(query)
    assert "\n" not in str(caught.value)


class TestCommand:
    def ask(self, folder: Path, *arguments: str) -> bytes:
        result = runner.invoke(app, ["sql", *arguments, "--commons", str(folder)])
        assert result.exit_code == 0, result.exception
        return result.stdout_bytes

    def test_json(self, folder: Path) -> None:
        query = "select network, fitness, parents, genome from networks where network = 5"
        for way in (["--format", "json"], ["--json"]):
            [row] = json.loads(self.ask(folder, query, *way))
            assert row["network"] == 5
            assert row["parents"] == [3, 2]
            assert set(row["fitness"]) == {"error_percent", "mflops"}

    def test_csv(self, folder: Path) -> None:
        text = self.ask(
            folder, "select network, equal_to, operator from networks order by 1 limit 2", "--format", "csv"
        )
        assert text == b"network,equal_to,operator\n0,,sampling\n1,,sampling\n"

    def test_table(self, folder: Path) -> None:
        text = self.ask(folder, "select network, operator from networks where network = 4").decode()
        assert "crossover+mutation" in text
        assert text.endswith("(1 row)\n")

    def test_parquet(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "x.parquet"
        assert self.ask(folder, "from epochs", "--format", "parquet", "--out", str(out)) == b""
        assert pq.read_table(out).num_rows == len(Commons(folder).epochs("made-up"))
        piped = self.ask(folder, "from epochs", "--format", "parquet")
        assert pq.read_table(pa.BufferReader(piped)).num_rows == pq.read_table(out).num_rows

    def test_errors_are_bad_input(self, folder: Path, tmp_path: Path) -> None:
        for arguments in (
            ["drop table networks", "--commons", str(folder)],
            ["select 1", "--commons", str(tmp_path / "none")],
            ["select cast(operator as integer) from networks", "--commons", str(folder)],
        ):
            result = runner.invoke(app, ["sql", *arguments])
            assert isinstance(result.exception, BadInput), arguments

    def test_two_columns_of_one_name(self, folder: Path) -> None:
        assert json.loads(self.ask(folder, "select 1 as a, 2 as a", "--json")) == [{"a": 1, "a_2": 2}]


@pytest.mark.slow
def test_the_relation_outlives_the_commons(folder: Path) -> None:
    code = (
        "import gc, sys; from pathlib import Path; from a4nn_core.commons import Commons\n"
        "r = Commons(Path(sys.argv[1])).sql('select count(*) from epochs'); gc.collect()\n"
        "print(r.fetchall()[0][0])"
    )
    out = subprocess.run(
        [sys.executable, "-P", "-c", code, folder], capture_output=True, text=True, check=True
    )
    assert int(out.stdout) == len(Commons(folder).epochs("made-up"))
