"""The figures of a run as data: what they say follows from its records, whatever draws them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from commons_data import header
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy.stats import spearmanr

from a4nn_core.archaeology import progress, ranks, stops, timeline
from a4nn_core.archaeology.chart import Axis, Cells, Chart, Points, Scale
from a4nn_core.archaeology.descent import Family
from a4nn_core.archaeology.difference import difference
from a4nn_core.archaeology.drawing import draw_sketch
from a4nn_core.archaeology.film import Album
from a4nn_core.archaeology.kinship import family_exhibit, stream_exhibit
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.sketch import Node, Sketch, State, handed_on, old_and_new, sketch, step
from a4nn_core.archaeology.stills import chart_figure, film_figure, heading, write_film
from a4nn_core.archaeology.style import sequential
from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.records import Epoch, Network, Run
from a4nn_core.jsonable import JsonText
from a4nn_core.precision import standard_error
from a4nn_core.recorded_graphs import graph_records
from a4nn_core.spaces.architecture import Architecture, Graph, Layer
from a4nn_core.vocabulary import NetworkStatus, RunStatus

TRAINING = {"training": {"epochs": 5}, "termination": {"name": "front"}, "seed": 1}


def network(number: int, accuracy: float, mflops: float = 1.0, **more: object) -> Network:
    """A network that was trained to the end."""
    usual = {
        "flops": int(mflops * 1e6),
        "best_accuracy_percent": accuracy,
        "status": NetworkStatus.completed,
        "epochs_trained": 5,
        "epochs_budget": 5,
        "generation": 0,
    }
    return Network(run="r", network=number, **{**usual, **more})  # type: ignore[arg-type]


def life(*networks: Network, curves: dict[int, list[float]] | None = None, **more: object) -> Life:
    """A run of some networks."""
    epochs = {
        number: [
            Epoch(run="r", network=number, epoch=e, validation_accuracy_percent=value)
            for e, value in enumerate(values, start=1)
        ]
        for number, values in (curves or {}).items()
    }
    run = Run(
        run="r",
        experiment=JsonText.of(TRAINING),
        objectives={"error_percent": "minimise", "mflops": "minimise"},
        dataset_details=JsonText.of({"validation": 100}),
    )
    usual = {"header": run, "networks": {n.network: n for n in networks}, "epochs": epochs, "events": []}
    return Life(**{**usual, "shadows": {}, **more})  # type: ignore[arg-type]


def stopped(
    number: int, accuracy: float, mflops: float, predicted: float | None, half: float = 2.0
) -> Network:
    """A network that was stopped after two epochs."""
    return network(
        number,
        accuracy,
        mflops,
        status=NetworkStatus.stopped,
        epochs_trained=2,
        termination_reason="outclassed",
        predicted_accuracy_percent=predicted,
        predicted_low=None if predicted is None else predicted - half,
        predicted_high=None if predicted is None else predicted + half,
    )


# stops


def test_regret_is_measured_against_all_that_costs_no_more() -> None:
    shown = life(
        network(0, 90.0, 1.0),
        network(1, 95.0, 3.0),
        stopped(2, 80.0, 2.0, 91.5),  # 90 at no more cost
        stopped(3, 80.0, 4.0, 94.0),  # 95 at no more cost
        stopped(4, 70.0, 0.5, 75.0),  # nothing costs less
        stopped(5, 80.0, 2.0, None),
        shadows={"again": {3: network(3, 96.0, 4.0), 2: stopped(2, 85.0, 2.0, None)}},
    )
    found = {one.network.network: one for one in stops.stops(shown)}
    assert list(found) == [2, 3, 4, 5]  # the greatest regret first, unknown ones last
    assert (found[2].regret, found[2].interval, found[2].true) == (1.5, (-0.5, 3.5), None)
    # its shadow was trained to the end, which counts more than any prediction
    assert (found[3].regret, found[3].interval, found[3].shadow) == (1.0, None, "again")
    assert (found[4].regret, found[5].regret) == (None, None)
    exhibit = stops.stops_exhibit(shown)
    assert "2 of 2 would have been above all others at their cost." in exhibit.words
    by_label = {mark.label: mark for mark in exhibit.charts[0].marks if isinstance(mark, Points)}
    assert by_label["measured"].networks == [3]
    assert by_label["predicted, with its interval"].low == [-0.5]
    assert exhibit.table is not None
    assert [row[0] for row in exhibit.table.rows] == [2, 3, 4, 5]


def test_equal_cheapest_networks_are_each_others_rivals() -> None:
    shown = life(stopped(0, 80.0, 1.0, 90.0), stopped(1, 85.0, 1.0, 90.0))
    assert {one.network.network: one.others for one in stops.stops(shown)} == {0: 85.0, 1: 80.0}


def test_a_small_figure_has_the_curve_the_prediction_and_what_would_have_been() -> None:
    shown = life(
        network(0, 90.0),
        stopped(1, 80.0, 1.0, 85.0),
        curves={1: [70.0, 80.0]},
        shadows={"again": {1: network(1, 86.0)}},
    )
    (one,) = stops.stops(shown)
    chart = stops.small_chart(shown, one)
    assert chart.title == "network 1, after epoch 2, would have reached 86.00 ± 3.61 %"
    ends = {mark.label: mark for mark in chart.marks}
    assert ends["network 1"].y == [70.0, 80.0]  # type: ignore[attr-defined]
    assert ends["predicted"].high == [80.0, 87.0]  # type: ignore[attr-defined]
    assert ends["trained to the end"].y == [86.0]  # type: ignore[attr-defined]
    assert chart.y.range is not None
    assert chart.y.range[0] <= 70 < 90 <= chart.y.range[1]


# ranks


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(3)
    values = np.round(rng.uniform(50, 60, (12, 4)), 0)  # with ties
    values[7:, 3] = np.nan
    values[2:, 1] = np.nan
    correlation, shared = ranks.rank_correlation(values)
    assert shared[0].tolist() == [12, 2, 12, 7]
    assert np.isnan(correlation[0, 1])  # two networks say nothing
    for a, b, rows in ((0, 2, 12), (0, 3, 7), (2, 3, 7)):
        expected = spearmanr(values[:rows, a], values[:rows, b]).statistic
        assert correlation[a, b] == correlation[b, a] == pytest.approx(expected)
    flat, _ = ranks.rank_correlation(np.column_stack([np.ones(6), np.arange(6.0)]))
    assert np.isnan(flat[0, 1])


def test_the_triangle_shows_later_epochs_alone() -> None:
    curves = {n: [50.0 + n, 60.0 + n * n, 70.0 - n] for n in range(6)}
    exhibit = ranks.ranks_exhibit(life(*(network(n, 60.0) for n in range(6)), curves=curves))
    (cells,) = exhibit.charts[0].marks
    assert isinstance(cells, Cells)
    assert cells.values == [[None, None, None], [1.0, None, None], [-1.0, -1.0, None]]
    assert exhibit.table is not None
    assert exhibit.table.rows == ((1, 2, 6, 1.0), (1, 3, 6, -1.0), (2, 3, 6, -1.0))


# time


def test_epochs_are_joined_unless_there_is_a_pause() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ends = (10, 20, 50, 60.5)
    epochs = [
        Epoch(network=3, epoch=number, seconds=10.0, time=start + timedelta(seconds=end))
        for number, end in enumerate(ends, start=1)
    ]
    found = timeline.stretches([*epochs, Epoch(network=3, epoch=5)])
    assert [(one.first, one.last) for one in found] == [(1, 2), (3, 4)]
    assert [(one.began - start).total_seconds() for one in found] == [0.0, 40.0]
    assert [(one.ended - start).total_seconds() for one in found] == [20.0, 60.5]


def test_what_was_not_trained_is_hatched_at_the_networks_own_pace() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    shown = life(replace(stopped(0, 80.0, 1.0, None), seconds=8.0, device="cuda:1"))
    epochs = [Epoch(network=0, epoch=e, seconds=4.0, time=start + timedelta(seconds=4 * e)) for e in (1, 2)]
    exhibit = timeline.timeline_exhibit(replace(shown, epochs={0: epochs}))
    trained, spared = exhibit.charts[0].marks
    assert (trained.label, trained.start, trained.end) == ("cuda:1", [0.0], [8.0])  # type: ignore[attr-defined]
    assert (spared.hatched, spared.start, spared.end) == (True, [8.0], [20.0])  # type: ignore[attr-defined]
    assert exhibit.charts[0].x.label == "time since the first epoch began (seconds)"


# progress


def test_moments_count_epochs_and_keep_the_best() -> None:
    shown = life(
        network(0, 80.0, 2.0), network(1, 90.0, 4.0), stopped(2, 70.0, 3.0, None), network(3, 85.0, 1.0)
    )
    found = progress.moments(shown, progress.box_of([shown]))
    assert [one.epochs for one in found] == [5, 10, 12, 17]
    assert [one.incumbent for one in found] == [80.0, 90.0, 90.0, 90.0]
    # costs 1 to 4 and errors 10 to 30: 80 % at 2 dominates 2/3 x 1/2, 85 % at 1 dominates 1 x 3/4
    assert [one.hypervolume for one in found] == pytest.approx([100 / 3, 100 / 3, 100 / 3, 75.0])
    other = replace(shown, header=replace(shown.header, objectives={"loss": "minimise"}))
    assert progress.box_of([shown, other]) is None


def test_seeds_are_one_group_and_their_surface_is_the_median() -> None:
    def seed(number: int, *accuracies: float) -> Life:
        one = life(*(network(n, a, 1.0 + n) for n, a in enumerate(accuracies)))
        experiment = JsonText.of({**TRAINING, "seed": number})
        return replace(one, header=replace(one.header, run=f"r{number}", name="e", experiment=experiment))

    lives = [seed(1, 80.0, 70.0), seed(2, 82.0, 90.0), seed(3, 84.0, 85.0)]
    (group,) = progress.groups(lives)
    assert group.name == "e, rule front, 3 seeds"
    exhibit = progress.attainment_exhibit(lives)
    assert exhibit.table is not None
    assert exhibit.table.rows == (
        (group.name, 3, 1.0, 80.0, 82.0, 84.0),
        (group.name, 3, 2.0, 80.0, 85.0, 90.0),
    )
    names = [one.title for one in progress.exhibits(lives)]
    assert names == [
        "How did the result grow?",
        "What do several seeds reach?",
        "What do rules save, and what do they cost?",
    ]
    assert len(progress.exhibits(lives[:1])) == 2


# families and films


def chain(*channels: int, skip: bool = False) -> Architecture:
    """Convolutions one after another; with a connection from the first to the last."""
    graph = Graph((1, 8, 8))
    places = [0]
    for number, count in enumerate(channels, start=1):
        sources = [places[-1], places[1]] if skip and number == len(channels) > 2 else places[-1:]
        join = sources[0]
        if len(sources) > 1:
            join = graph.add(Layer("add", channels[number - 2], label=f"join {number}"), sources)
        places.append(graph.add(Layer("conv", count, kernel=3, padding=1, label=f"node {number} conv"), join))
    graph.add(Layer("global_average_pool", channels[-1], label="average"), places[-1])
    graph.add(Layer("linear", 2, bias=True, label="classify"), len(graph.layers) - 1)
    return graph.done()


def states(drawn: object) -> list[tuple[str, str]]:
    return [(node.title, str(node.state)) for node in drawn.nodes]  # type: ignore[attr-defined]


def test_a_step_shows_what_is_new_and_what_is_gone_where_it_was() -> None:
    plain, long = chain(4, 4), chain(4, 4, 4)
    grown = step([difference(plain, long)])
    assert [state for _, state in states(grown)].count("added") == 1
    assert "removed" not in [state for _, state in states(grown)]
    shrunk = step([difference(long, plain)])
    names = [title for title, state in states(shrunk) if state == "removed"]
    assert len(names) == 1
    order = [title for title, _ in states(shrunk)]
    assert 0 < order.index(names[0]) < order.index("average")  # among the convolutions
    assert {str(link.state) for link in shrunk.links} >= {"kept", "removed"}
    same = step([difference(plain, plain)])
    assert {state for _, state in states(same)} == {"kept"}
    assert sketch(plain) == same


def test_of_two_parents_each_part_has_the_colour_of_where_it_comes_from() -> None:
    first, second, child = chain(4, 4), chain(4, 4, 8), chain(4, 4, 8)
    found = [difference(first, child), difference(second, child)]
    drawn = step(found)
    assert State.second in {node.state for node in drawn.nodes}  # the widest convolution
    assert State.added not in {node.state for node in drawn.nodes}
    theirs = handed_on(found[1], found[0], State.second)
    shared = {node.title for node in theirs.nodes if node.state is State.kept}
    assert "input" in shared
    assert State.second in {node.state for node in theirs.nodes}
    assert State.removed not in {node.state for node in theirs.nodes}
    old, new = old_and_new(found[0])
    assert {node.state for node in old.nodes} <= {State.kept, State.changed, State.removed}
    assert {node.state for node in new.nodes} <= {State.kept, State.changed, State.added}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Commons:
    """Two founders, a child of both, and its child."""
    commons = tmp_path_factory.mktemp("family") / "commons"
    made = {0: chain(4, 4), 1: chain(4, 4, 4), 2: chain(4, 4, 4, 4), 3: chain(4, 4, 4, 4, skip=True)}
    with RunWriter.open(commons, "r", header(experiment={**header()["experiment"], **TRAINING})) as writer:
        for number, parents in ((0, ()), (1, ()), (2, (0, 1)), (3, (2,))):
            layers, edges = graph_records(made[number])
            one = network(
                number,
                80.0 + number,
                flops=made[number].flops,
                parents=parents,
                generation=(0, 0, 1, 2)[number],
                operator="crossover" if parents else "sampling",
                architecture_hash=made[number].hash,
            )
            writer.record(one, layers=layers, edges=edges)
        writer.finish(RunStatus.completed, networks=4)
    return Commons(commons)


def test_a_film_goes_from_a_founder_to_the_network(family: Commons, tmp_path: Path) -> None:
    shown = Life.read(family, "r")
    album = Album.read(family, shown)
    film = album.film(3)
    assert [frame.network for frame in film][-2:] == [2, 3]
    assert film[0].step.parents == ()
    assert len(film[1].parents) == 2  # both parents are drawn
    assert film[2].parents == ()
    # the accuracies were measured on 50 images
    gain_se = math.hypot(standard_error(83.0, 50) or 0, standard_error(82.0, 50) or 0)
    assert film[2].gain_se == pytest.approx(gain_se)
    assert heading(film[2]) == f"network 3, generation 2, crossover of 2: +1.00 ± {gain_se:.2f} points"
    for name in ("film.png", "film.svg"):
        write_film(film, "Descent of network 3", tmp_path / name)
        assert (tmp_path / name).stat().st_size > 10_000
    assert {frame.network for frame in album.frames(10)} == {0, 1, 2, 3}
    assert [frame.network for frame in album.frames(1)] in ([0], [1])  # a founder of the best of the front
    assert album.difference(0, 1).added


def test_streams_and_the_graph_of_a_family(family: Commons) -> None:
    shown = Life.read(family, "r")
    known = Family(shown.networks.values(), shown.front)
    streams = stream_exhibit(shown, known)
    assert streams.table is not None
    by_generation = {}
    for generation, _, living, _, share, _ in streams.table.rows:
        by_generation.setdefault((generation, living), []).append(share)
    for (_, living), shares in by_generation.items():
        assert sum(shares) == pytest.approx(living)  # every living network descends from founders alone
    assert len(streams.charts[0].marks) == 2
    graph = family_exhibit(shown, known)
    assert graph.table is not None
    assert [row[:2] for row in graph.table.rows] == [(2, 0), (2, 1), (3, 2)]
    assert [round(row[4], 6) for row in graph.table.rows] == [2.0, 1.0, 1.0]
    asked = family.sql(graph.query).fetchall()
    assert [row[:2] for row in asked] == [(2, 0), (2, 1), (3, 2)]
    # shares of those born, which is what SQL can say without the population
    born = family.sql(streams.query).fetchall()
    assert [(row[0], row[1], float(row[2])) for row in born] == [
        *((0, 0, 1.0), (0, 1, 1.0), (1, 0, 0.5), (1, 1, 0.5), (2, 0, 0.5), (2, 1, 0.5)),
    ]


def test_without_lineage_it_is_said() -> None:
    shown = life(network(0, 80.0), network(1, 81.0))
    known = Family(shown.networks.values())
    for exhibit in (stream_exhibit(shown, known), family_exhibit(shown, known)):
        assert any("Parents were not recorded" in words for words in exhibit.words)
        assert not exhibit.charts[0].marks
        assert exhibit.charts[0].empty


def test_ten_thousand_generations_are_drawn_in_a_few_hundred_columns() -> None:
    count = 10_000
    networks = [
        stopped(n, 50.0 + n % 40, 1.0 + n % 7, 60.0) if n % 2 else network(n, 50.0 + n % 40, 1.0 + n % 7)
        for n in range(count)
    ]
    made = [replace(one, generation=n, parents=(n - 1,) if n else ()) for n, one in enumerate(networks)]
    shown = life(*made)
    streams = stream_exhibit(shown, Family(made, shown.front))
    (band,) = streams.charts[0].marks
    assert len(band.x) <= 201  # type: ignore[attr-defined]
    assert band.x[-1] == count - 1  # type: ignore[attr-defined]
    assert any("descends from network" in words for words in streams.words)
    found = stops.stops_exhibit(shown)
    assert found.table is not None
    assert len(found.table.rows) == count // 2
    assert len(found.charts[0].y.names) == stops.MOST_SMALL


# the language of figures


def test_the_scale_is_monotonic_in_lightness() -> None:
    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    found = [lightness(sequential(i / 50)) for i in range(51)]
    assert found == sorted(found, reverse=True)
    assert sequential(-1) == sequential(0)
    assert sequential(2) == sequential(1) == "#440154"  # the darkest of viridis


def test_a_chart_as_json_leaves_out_what_is_as_usual() -> None:
    chart = Chart("c", "t", Axis("x"), Axis("y", whole=True), (Points(x=[1], y=[2.5]),), Scale("s", 0, 1))
    found = chart.to_json()
    assert found["x"] == {"label": "x"}
    assert found["y"] == {"label": "y", "whole": True}
    assert found["marks"] == [{"kind": "points", "x": [1], "y": [2.5]}]
    assert found["scale"]["colours"][0] == sequential(0)


def test_no_text_of_a_still_is_cut(family: Commons) -> None:
    """Long ids: titles and legends take more lines, and names of rows make the figure wider."""
    long = "-".join(["a-long-run-id"] * 7)
    film = Album.read(family, Life.read(family, "r")).film(3)
    points = Points(x=[1.0], y=[long], label=f"trained to the end, of {long}")
    chart = Chart("c", f"Accuracy of {long}", Axis("x"), Axis("", "category", names=(long,)), (points,))
    bare = Chart("bare", long, Axis("x"), Axis("y"), empty="There is nothing to draw here. " * 6)
    for figure in (
        film_figure(film, f"Descent of network 3 of {long}"),
        chart_figure(chart),
        chart_figure(bare),
    ):
        FigureCanvasAgg(figure).draw()
        shown = [text for text in figure.findobj(Text) if text.get_text().strip("−.0123456789")]
        words = "".join(text.get_text() for text in shown).replace("\n", "")
        assert long in words
        assert "…" not in words
        for text in shown:
            box = text.get_window_extent()
            assert -1 <= box.x0 <= box.x1 <= figure.bbox.width + 1, text.get_text()
            assert -1 <= box.y0 <= box.y1 <= figure.bbox.height + 1, text.get_text()
    cut = Sketch((Node("sep_conv_3x3_twice", None, (1, 8, 8), (0,), 0, 0),), ())
    figure = Figure()
    draw_sketch(figure.add_subplot(), cut, by_phase=False)
    assert "sep_conv_3x…" in {text.get_text() for text in figure.findobj(Text)}
