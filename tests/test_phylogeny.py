"""The descent of networks as an ALife phylogeny; its statistics by phylotrackpy are those of our SQL."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from commons_data import made_up_run
from fakes import FakeExecutor, experiment, search

from a4nn_core.archaeology.descent import Family
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.phylogeny import phylogeny_csv, write_phylogeny
from a4nn_core.commons import Commons
from a4nn_core.commons.cookbook import COOKBOOK
from a4nn_core.errors import BadInput


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    commons = tmp_path_factory.mktemp("phylogeny") / "commons"
    wide = {"networks": 30, "population": 6, "offspring": 6}
    search(experiment(search=wide), commons, FakeExecutor())
    made_up_run(commons, "bare", 2)
    return commons


def test_the_standard_columns_come_first(folder: Path) -> None:
    life = Life.read(Commons(folder), "r")
    rows = list(csv.DictReader(phylogeny_csv(life).splitlines()))
    assert list(rows[0])[:4] == ["id", "ancestor_list", "origin_time", "destruction_time"]
    assert [int(row["id"]) for row in rows] == list(range(30))
    family = Family(life.networks.values(), life.front)
    for row in rows:
        number = int(row["id"])
        parents = family.parents(number)
        assert row["ancestor_list"] == (f"[{','.join(map(str, parents))}]" if parents else "[none]")
        assert int(row["origin_time"]) == number // 6
        if row["destruction_time"] != "inf":
            assert int(row["destruction_time"]) > int(row["origin_time"])
    # the last generation and the front live on
    living = {int(row["id"]) for row in rows if row["destruction_time"] == "inf"}
    assert living == {*range(24, 30)} | life.front
    assert any("," in row["ancestor_list"] for row in rows)


def test_one_parent_is_the_one_on_the_line_of_descent(folder: Path) -> None:
    life = Life.read(Commons(folder), "r")
    family = Family(life.networks.values(), life.front)
    for row in csv.DictReader(phylogeny_csv(life, one_parent=True).splitlines()):
        along = family.step(int(row["id"])).along
        assert row["ancestor_list"] == ("[none]" if along is None else f"[{along.network}]")


def test_a_run_without_lineage_has_no_phylogeny(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'bare' has no phylogeny: parents of its networks were not recorded"):
        write_phylogeny(Life.read(Commons(folder), "bare"), tmp_path / "bare.csv")
    assert list(tmp_path.iterdir()) == []


def test_phylotrackpy_finds_what_our_sql_finds(folder: Path, tmp_path: Path) -> None:
    """Roots, taxa, living taxa, their depths, and how many children networks have."""
    systematics = pytest.importorskip("phylotrackpy.systematics", reason="reads C++ built for this machine")
    life = Life.read(Commons(folder), "r")
    file = tmp_path / "phylogeny.csv"
    assert write_phylogeny(life, file, one_parent=True) == 30
    theirs = systematics.Systematics(str)
    theirs.load_from_file(str(file), "genome", False, True)

    import duckdb

    (ours,) = duckdb.sql(
        f"""
        with recursive taxa as (
            select id::int as id, try_cast(trim(ancestor_list, '[]') as int) as parent,
                   destruction_time = 'inf' as alive
            from read_csv('{file}', all_varchar = true)
        ), depths as (
            select id, alive, 0 as depth from taxa where parent is null
            union all
            select t.id, t.alive, d.depth + 1 from taxa t join depths d on t.parent = d.id
        ), degrees as (
            select t.id, count(c.id) as children from taxa t left join taxa c on c.parent = t.id group by t.id
        )
        select (select count(*) from taxa), (select count(*) from taxa where alive),
               (select count(*) from taxa where parent is null), (select max(depth) from depths where alive),
               (select map_from_entries(list((children, n)))
                from (select children, count(*) as n from degrees group by children))"""
    ).fetchall()
    assert ours == (
        *(theirs.get_num_taxa(), theirs.get_num_active(), theirs.get_num_roots(), theirs.get_max_depth()),
        theirs.get_out_degree_distribution(),
    )
    # Faith's phylogenetic diversity, the connections of the tree of what lives. Theirs is the number of taxa
    # in it less one, as if it had one root, and lines that died out have to be left out of the file (below)
    living = tmp_path / "living.csv"
    assert write_phylogeny(life, living, one_parent=True, living=True) < 30
    ((taxa, roots, connections),) = duckdb.sql(
        f"""
        with recursive taxa as (
            select id::int as id, try_cast(trim(ancestor_list, '[]') as int) as parent,
                   destruction_time = 'inf' as alive
            from read_csv('{file}', all_varchar = true)
        ), lines as (
            select id, parent from taxa where alive
            union
            select t.id, t.parent from taxa t join lines l on l.parent = t.id
        )
        select count(*), count(*) filter (parent is null), count(parent) from lines"""
    ).fetchall()
    assert len(living.read_text().splitlines()) == 1 + taxa
    assert roots > 1
    assert connections == taxa - roots
    theirs = systematics.Systematics(str)
    theirs.load_from_file(str(living), "genome", False, True)
    assert theirs.get_phylogenetic_diversity() == taxa - 1 == connections + roots - 1
    # and the recipe for people, asked of the records themselves with all parents
    query = next(recipe.query for recipe in COOKBOOK if recipe.name == "phylogeny")
    (row,) = (row for row in Commons(folder).sql(query).fetchall() if row[0] == "r")
    assert row[1:3] == (30, 6)


@pytest.mark.parametrize(
    ("rows", "connections", "theirs"),
    [
        # one root with two living children: two connections, and both say so
        (["0,[none],0,1", "1,[0],1,inf", "2,[0],1,inf"], 2, 2),
        # two roots with one living child each: again two connections; taxa less one are three
        (["0,[none],0,1", "1,[0],1,inf", "2,[none],0,1", "3,[2],1,inf"], 2, 3),
        # a line that died out beside one that lives: one connection; they lose the parent of both
        (["0,[none],0,1", "1,[0],1,inf", "2,[0],1,2"], 1, 0),
        # a founder without descendants: one connection; they count it as an ancestor
        (["0,[none],0,1", "1,[0],1,inf", "2,[none],0,1"], 1, 2),
    ],
)
def test_why_phylogenetic_diversity_differs(
    tmp_path: Path, rows: list[str], connections: int, theirs: int
) -> None:
    """By hand: phylotrackpy (0.2.4) supposes one root, and loads lines that died out in its own way."""
    systematics = pytest.importorskip("phylotrackpy.systematics", reason="reads C++ built for this machine")
    file = tmp_path / "tree.csv"
    file.write_text(
        "id,ancestor_list,origin_time,destruction_time,genome\n" + "".join(f"{r},g\n" for r in rows)
    )
    loaded = systematics.Systematics(str)
    loaded.load_from_file(str(file), "genome", False, True)
    parents = {row.split(",")[0]: row.split(",")[1].strip("[]") for row in rows}
    living = {row.split(",")[0] for row in rows if row.endswith("inf")}
    while more := {parents[one] for one in living} - living - {"none"}:
        living |= more
    assert len([one for one in living if parents[one] != "none"]) == connections
    assert loaded.get_phylogenetic_diversity() == theirs
