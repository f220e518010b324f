"""The command ``a4nn dig``, and networks as a pair for Model Explorer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import a4nn
from commons_data import made_up_run
from fakes import FakeExecutor, experiment, search

from a4nn_core.archaeology.questions import QUESTIONS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dig")
    search(experiment(), folder / "commons", FakeExecutor())
    made_up_run(folder / "commons", "bare", 3)
    return folder


def test_questions_are_listed(folder: Path) -> None:
    said = a4nn("dig", "questions", cwd=folder)
    assert said.returncode == 0
    assert [line.split()[0] for line in said.stdout.splitlines()] == list(QUESTIONS)
    assert json.loads(a4nn("dig", "questions", "--json", cwd=folder).stdout).keys() == QUESTIONS.keys()


@pytest.mark.slow
def test_an_answer_has_words_numbers_a_figure_and_a_query(folder: Path) -> None:
    said = a4nn("dig", "ask", "descent", "r", "11", "--out", "line.svg", cwd=folder)
    assert said.returncode == 0, said.stderr
    assert "How did network 11 come about?" in said.stdout
    assert "parent on the line" in said.stdout
    assert "figure: line.svg" in said.stderr
    assert "<svg" in (folder / "line.svg").read_text()
    found = json.loads(a4nn("dig", "ask", "descent", "r", "11", "--json", cwd=folder).stdout)
    assert found["rows"][-1]["network"] == 11
    assert found["answer"]
    query = a4nn("dig", "ask", "descent", "r", "11", "--sql", cwd=folder).stdout
    rows = json.loads(a4nn("sql", query, "--json", cwd=folder).stdout)
    assert 11 in [row["network"] for row in rows]


def test_two_networks_are_compared(folder: Path) -> None:
    said = a4nn("dig", "likeness", "r", "0", "1", cwd=folder)
    assert said.returncode == 0, said.stderr
    assert "of 14 positions differ" in said.stdout
    assert "structure" in said.stdout
    found = json.loads(a4nn("dig", "likeness", "r", "0", "0", "--json", cwd=folder).stdout)
    assert (found["differing"], found["structure"], found["same_architecture"]) == (0, 1.0, True)
    assert found["figures"] == []
    drawn = a4nn("dig", "likeness", "r", "0", "1", "--out", "differ.svg", cwd=folder)
    assert drawn.stderr.splitlines()[-1] == "figure: differ.svg"
    assert "network 0 of run r" in (folder / "differ.svg").read_text()
    across = a4nn("dig", "likeness", "r", "0", "1", "--other-run", "bare", cwd=folder)
    assert across.returncode == 0, across.stderr


def test_all_pairs_and_the_phylogeny_are_written(folder: Path) -> None:
    said = a4nn("dig", "likeness", "r", "--out", "pairs.parquet", "--json", cwd=folder)
    assert json.loads(said.stdout)["pairs"] == 12 * 11 // 2
    said = a4nn("dig", "likeness", "r", "--keep", cwd=folder)
    assert said.returncode == 0, said.stderr
    assert said.stderr.splitlines()[-1].endswith("runs/r/likeness.parquet: 66 pairs")
    found = json.loads(
        a4nn("sql", "select count(*) as n from likeness where run = 'r'", "--json", cwd=folder).stdout
    )
    assert found == [{"n": 66}]
    said = a4nn("dig", "phylogeny", "r", "--out", "family.csv", cwd=folder)
    assert said.returncode == 0, said.stderr
    assert (folder / "family.csv").read_text().startswith("id,ancestor_list,origin_time,destruction_time,")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask", "why", "r"], "there is no question 'why'; known: traits, descent"),
        (["ask", "traits", "none"], "has no run 'none'"),
        (["ask", "traits", "r", "3"], "is about a whole run, not about network 3"),
        (["ask", "descent", "r", "99"], "there is no network 99"),
        (["ask", "settled", "r", "--out", "x.gif"], "x.gif"),
        (["likeness", "r"], "--out FILE.parquet"),
        (["likeness", "r", "--out", "x.csv"], "--out FILE.parquet"),
        (["likeness", "r", "--keep", "--out", "x.parquet"], "--out FILE.parquet"),
        (["likeness", "r", "0", "1", "--keep"], "give two networks"),
        (["likeness", "r", "0", "1", "--out", "x.gif"], "the ending must be one of .png, .svg"),
        (
            ["likeness", "bare", "0", "1", "--out", "x.png"],
            "the layers of one of the networks were not recorded",
        ),
        (["likeness", "r", "1"], "give two networks"),
        (["likeness", "r", "--other-run", "bare"], "--other-run needs two networks"),
        (["likeness", "r", "1", "99"], "has recorded no network 99"),
        (["pair", "r", "1", "1", "--out", "p"], "would be compared with itself"),
    ],
)
def test_bad_input_gets_one_sentence(folder: Path, arguments: list[str], words: str) -> None:
    before = sorted(folder.iterdir())
    said = a4nn("dig", *arguments, cwd=folder)
    assert said.returncode == 2
    assert words in said.stderr
    assert "Traceback" not in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
def test_a_pair_for_model_explorer(folder: Path) -> None:
    """As Model Explorer reads it: ids of nodes are their names in the file, by model-explorer-onnx."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    said = a4nn("dig", "pair", "r", "0", "5", "--out", "pair", "--json", cwd=folder)
    assert said.returncode == 0, said.stderr
    files = [folder / file for file in json.loads(said.stdout)["files"]]
    assert [file.name for file in files] == ["r-0000.onnx", "r-0005.onnx", "mapping.json"]
    names = []
    for file in files[:2]:
        model = onnx.load(file)
        onnx.checker.check_model(model)
        names.append([node.name for node in model.graph.node])
        assert len(set(names[-1])) == len(names[-1])
        assert not any(node.metadata_props for node in model.graph.node)
    assert any(name.startswith("phase 1/node 1/") and name.endswith(" Conv") for name in names[0])
    mapping = json.loads(files[2].read_text())
    assert mapping["type"] == "sync_navigation"
    assert mapping["disableMappingFallback"] is True
    lefts = [name for entry in mapping["mappingEntries"] for name in entry["leftNodeIds"]]
    rights = [name for entry in mapping["mappingEntries"] for name in entry["rightNodeIds"]]
    assert lefts
    assert set(lefts) <= set(names[0])
    assert set(rights) <= set(names[1])
    assert len(set(lefts)) == len(lefts)
    again = a4nn("dig", "pair", "r", "0", "5", "--out", "pair", cwd=folder)
    assert again.returncode == 2
    assert "pair exists already" in again.stderr
