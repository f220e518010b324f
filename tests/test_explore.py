"""``a4nn explore``: the front of many networks, and what it holds of a commons in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commons_data import header, made_up_run, record
from report_runs import evolved

from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.compact import compact
from a4nn_core.explore.catalogue import Catalogue
from a4nn_core.explore.fronts import distances, front_of
from a4nn_core.metrics import nondominated
from a4nn_core.vocabulary import RunStatus


@pytest.fixture(scope="module")
def commons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, of one of which a network failed."""
    path = tmp_path_factory.mktemp("explored") / "commons"
    evolved(path)
    made_up_run(path, "plain", 5, failed=(1,))
    return path


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a4nn_core.explore.catalogue._OFTEN_SECONDS", 0.0)


# fronts


@pytest.mark.parametrize("size", [1, 2, 50, 20_000])
def test_the_front_of_many_points_is_that_of_all(size: int) -> None:
    rng = np.random.default_rng(size)
    points = rng.integers(1, 400, (size, 2)).astype(float)  # many are equal in one value, or in both
    found = front_of(points)
    assert sorted(found.tolist()) == np.flatnonzero(nondominated(points)).tolist()
    assert points[found][:, 0].tolist() == sorted(points[found][:, 0].tolist())


def test_the_distance_from_a_wish_counts_what_is_lacking_alone() -> None:
    points = np.array([[1.0, 30.0], [2.0, 20.0], [3.0, 10.0]])
    assert distances(points, (None, None)).tolist() == [1.0, pytest.approx(0.5 * 2**0.5), 1.0]
    # what costs less than it may is as near as what costs just so much
    assert distances(points, (2.0, 20.0)).tolist() == [0.5, 0.0, 0.5]


# the catalogue


def test_it_holds_what_the_records_say(commons: Path) -> None:
    catalogue = Catalogue(commons)
    catalogue.refresh()
    columns = ", ".join(map(catalogue.column, ("best_accuracy_percent", "mflops", "error_percent")))
    held = (
        catalogue.cursor()
        .sql(f"select place, number, candidate, {columns} from networks order by all")
        .fetchall()
    )
    names = catalogue.by_place
    recorded = Commons(commons).sql(
        "select run, network, status in ('completed', 'stopped') and equal_to is null, "
        "best_accuracy_percent, flops / 1e6, fitness['error_percent'] from networks"
    )
    assert sorted([(names[row[0]], *row[1:4]) for row in held]) == sorted(
        row[:4] for row in recorded.fetchall()
    )
    for place, number, candidate, best, mflops, error in held:
        (network,) = [one for one in Commons(commons).networks(names[place]) if one.network == number]
        assert mflops == (network.flops or 0) / 1e6
        assert candidate is network.trained
        if best is not None and network.fitness:
            assert error == network.fitness["error_percent"]


@pytest.mark.usefixtures("looks_at_once")
def test_new_networks_of_a_running_search_are_added(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    made_up_run(commons, "old", 3)
    catalogue = Catalogue(commons)
    with RunWriter.open(commons, "new", header()) as writer:
        record(writer, 0, 8)
        first = catalogue.refresh()
        state = catalogue.runs["new"].state
        assert state is not None
        assert (state.status, state.totals.networks) == ("running", 1)
        before = catalogue.networks_version
        assert catalogue.refresh() == first  # nothing is new, nothing is read
        assert catalogue.networks_version == before
        record(writer, 2, 8)  # 1 is still in training
        record(writer, 1, 8)
        assert catalogue.refresh() > first
        assert catalogue.networks_version > before
        assert rows(catalogue) == [("new", 0), ("new", 1), ("new", 2), ("old", 0), ("old", 1), ("old", 2)]
        writer.finish(RunStatus.completed, networks=3)
    catalogue.refresh()
    assert catalogue.runs["new"].state is not None
    assert catalogue.runs["new"].state.status == "completed"
    compact(commons)  # where records lie makes no difference
    catalogue.refresh()
    assert len(rows(catalogue)) == 6


def test_a_fingerprint_of_files_is_none_of_images(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    for run, fingerprint in (("imported", "source:" + "ab" * 32), ("searched", "cd" * 32)):
        with RunWriter.open(commons, run, header(dataset_fingerprint=fingerprint)) as writer:
            writer.finish(RunStatus.completed)
    catalogue = Catalogue(commons)
    catalogue.refresh()
    found = {run: listed.fingerprint for run, listed in catalogue.runs.items()}
    assert found == {"imported": None, "searched": "cd" * 32}


@pytest.mark.usefixtures("looks_at_once")
def test_runs_that_go_come_back_or_cannot_be_read(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    for run in ("one", "two"):
        made_up_run(commons, run, 2)
    catalogue = Catalogue(commons)
    catalogue.refresh()
    (commons / "runs" / "two").rename(tmp_path / "two")
    catalogue.refresh()
    assert set(catalogue.runs) == {"one"}
    assert rows(catalogue) == [("one", 0), ("one", 1)]
    (tmp_path / "two").rename(commons / "runs" / "two")
    file = commons / "runs" / "one" / "run.json"
    kept = file.read_bytes()
    file.write_text("{", encoding="utf-8")
    catalogue.refresh()
    assert "damaged" in catalogue.runs["one"].trouble
    assert rows(catalogue) == [("two", 0), ("two", 1)]
    file.write_bytes(kept)
    catalogue.refresh()
    assert catalogue.runs["one"].trouble == ""
    assert len(rows(catalogue)) == 4
    file.unlink()
    catalogue.refresh()
    assert catalogue.runs["one"].trouble == f"{file} is missing"
    assert len(rows(catalogue)) == 2


def rows(catalogue: Catalogue) -> list[tuple[str, int]]:
    found = catalogue.cursor().sql("select place, number, key from networks").fetchall()
    names = catalogue.by_place
    assert all(catalogue.key(names[place], number) == key for place, number, key in found)
    return sorted((names[place], number) for place, number, _ in found)
