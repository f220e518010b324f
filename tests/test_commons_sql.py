"""SQL over a commons: one SELECT, and nothing of the machine in reach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from commons_data import header, made_up_run

from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.cookbook import COOKBOOK
from a4nn_core.commons.records import Network
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import JsonText
from a4nn_core.recorded_graphs import graph_records
from a4nn_core.spaces.macro import Macro


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


@pytest.mark.parametrize(
    "query",
    [
        "pivot networks on status using count(*) group by run",
        "pivot networks on status using count(*) group by run; -- two columns",
        "from (pivot networks on status using count(*) group by run) -- two columns;",
        "with wide as (pivot networks on status using count(*) group by run) select * from wide",
        "pivot networks on status in ('completed', 'stopped') using count(*) group by run",
    ],
)
def test_a_pivot_is_a_select(commons: Commons, query: str) -> None:
    relation = commons.sql(query)
    assert relation.columns == ["run", "completed", "stopped"]
    assert relation.fetchall() == [("made-up", 3, 5)]


def test_times_are_in_utc_wherever_the_machine_is(commons: Commons) -> None:
    assert commons.sql("select current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_an_answer_comes_as_it_is_computed(commons: Commons) -> None:
    endless = "select a.range as n from range(1000000) a, range(1000000) b"
    with commons.ask(endless, rows=3000) as answer:
        assert answer.schema.names == ["n"]
        assert 3000 <= next(iter(answer)).num_rows < 6000
    failing = "select (10 - range)::utinyint from range(1000000)"
    with (
        pytest.raises(BadInput, match="cannot be answered: Type INT64 with value -1 can't be cast"),
        commons.ask(failing, rows=3000) as answer,
    ):
        list(answer)


def test_wiring(tmp_path: Path) -> None:
    macro = Macro(phases=2, nodes=3, channels=4)
    # nodes 1 and 2 feed node 3, and the input the output; then a chain of two
    genome = [[0, 1, 1, 1], [1, 0, 0, 0]]
    layers, edges = graph_records(macro.decode(genome, (1, 8, 8), 2))
    with RunWriter.open(tmp_path, "r", header()) as writer:
        writer.record(Network(network=0, genome=JsonText.of(genome)), layers=layers, edges=edges)
    rows = Commons(tmp_path).sql(
        "select phase, node, operation, inputs, channels_in, channels_out, height_out from wiring "
        "order by layer"
    )
    told = {(phase, node): rest for phase, node, *rest in rows.fetchall()}
    assert len(told) == len(layers)
    assert told[None, "input"] == ["input", None, 0, 1, 8]
    assert told[1, "widen"] == ["conv 3x3", "input", 1, 4, 6]
    assert told[1, "node 2 conv"] == ["conv 3x3", "widen", 4, 4, 6]
    assert told[1, "node 3 concat"] == ["concat", "node 1 relu, node 2 relu", 8, 4 * 2, 6]
    assert told[1, "node 3 merge"] == ["conv 1x1", "node 3 concat", 8, 4, 6]
    assert told[1, "output concat"] == ["concat", "widen, node 3 relu", 8, 8, 6]
    assert told[2, "pool"] == ["max_pool 2x2 stride 2", "output relu", 4, 4, 3]
    assert told[None, "classify"][:2] == ["linear", "average"]
    [recipe] = [recipe for recipe in COOKBOOK if recipe.name == "genome-bits"]
    bits = recipe.query.replace("from front", "from networks")
    assert Commons(tmp_path).sql(bits).fetchall() == [
        ("r", 0, 1, "1 -> 3, 2 -> 3", True),
        ("r", 0, 2, "1 -> 2", False),
    ]


def test_lineage(commons: Commons) -> None:
    rows = commons.sql("select network, parent from lineage where network = 5 order by all").fetchall()
    assert rows == [(5, 2), (5, 3)]
    assert commons.sql("select count(*) from lineage where generation = 0").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "query",
    [
        "copy networks to '{file}'",
        "copy (select 1) to '{file}' (format parquet)",
        "copy (pivot networks on status using count(*)) to '{file}'",
        "create table t as pivot networks on status using count(*)",
        "insert into networks pivot networks on status using count(*)",
        "explain pivot networks on status using count(*)",
        "pivot networks on status using count(*); select 1",
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
        "with t as (copy networks to '{file}') from t",
        "pivot (from read_csv('{file}')) on secret using count(*)",
        "from (pivot networks on status using count(*)) union all by name from read_text('{file}')",
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
    assert file.read_text() == "secret\n42\n"


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
