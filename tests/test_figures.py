"""The figures of a run: what they show, and that they work whatever state the run is in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commons_data import HORIZON, fail, header, made_up_run, record, train
from matplotlib.axes import Axes
from matplotlib.text import Text

from a4nn_core.archaeology.figures import front_figure, still
from a4nn_core.archaeology.picture import (
    Picture,
    Point,
    cost_floor,
    picture,
    whole_generations,
)
from a4nn_core.archaeology.quality import ACCURACY
from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.records import Epoch, Network
from a4nn_core.errors import BadInput
from a4nn_core.precision import standard_error
from a4nn_core.vocabulary import NetworkStatus


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    commons = tmp_path_factory.mktemp("figures") / "commons"
    made_up_run(commons, "twelve", 12, failed=(5,))
    made_up_run(commons, "one", 1)
    with RunWriter.open(commons, "going", header()) as writer:
        writer.events.append("asked", 2, 0)
        record(writer, 0, HORIZON)
        record(writer, 1, 9)
        train(writer, 2, 7)
        train(writer, 3, 1)
        fail(writer, 4)
    with RunWriter.open(commons, "nothing", header()):
        pass
    with RunWriter.open(commons, "all-failed", header()) as writer:
        fail(writer, 0)
    return commons


def draw(folder: Path, run: str, out: Path) -> Path:
    front_figure(Commons(folder), run, out / f"{run}.png", "report.html")
    return out / f"{run}.png"


def shows(png: Path, colour: tuple[int, int, int]) -> bool:
    """Whether a picture has a pixel of exactly this colour."""
    from matplotlib.image import imread

    pixels = (imread(png)[..., :3] * 255).round().astype(np.uint8)
    return bool((pixels == np.array(colour, dtype=np.uint8)).all(axis=-1).any())


@pytest.mark.slow
@pytest.mark.parametrize("run", ["twelve", "one", "going"])
def test_every_state_of_a_run(folder: Path, tmp_path: Path, run: str) -> None:
    png = draw(folder, run, tmp_path / "out")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in (tmp_path / "out").iterdir()] == [f"{run}.png"]
    assert shows(png, (0xD1, 0x49, 0x5B))


@pytest.mark.parametrize("run", ["nothing", "all-failed"])
def test_no_empty_picture_is_written(folder: Path, tmp_path: Path, run: str) -> None:
    assert not front_figure(Commons(folder), run, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_accuracies_are_drawn_with_their_standard_errors(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, list[Any]] = {"errorbar": [], "fill_between": []}

    def noted(name: str) -> Any:
        plain = getattr(Axes, name)

        def call(self: Any, *given: Any, **look: Any) -> Any:
            drawn[name].append((given, look))
            return plain(self, *given, **look)

        return call

    for name in drawn:
        monkeypatch.setattr(Axes, name, noted(name))
    draw(folder, "twelve", tmp_path)
    networks = {n.network: n for n in Commons(folder).networks("twelve") if n.status != "failed"}
    # the part for validation has 50 images
    expected = {
        n.best_accuracy_percent: standard_error(n.best_accuracy_percent, 50) for n in networks.values()
    }
    assert len(drawn["errorbar"]) == 11
    for (_, y), look in drawn["errorbar"]:
        assert look["yerr"] == [[expected[y]], [min(expected[y], 100 - y)]]
    assert len(drawn["fill_between"]) == len(Commons(folder).front("twelve"))
    best = max(expected)
    assert f"best {best:.2f} ± {expected[best]:.2f} %" in picture(Commons(folder), "twelve").summary


@pytest.mark.slow
@pytest.mark.parametrize("run", ["twelve", "going"])
def test_the_still_picture_can_be_read_600_pixels_wide(folder: Path, run: str) -> None:
    figure = still(picture(Commons(folder), run), "report.html")
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    texts = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
    scale = 600 / figure.get_figwidth()
    assert min(t.get_fontsize() for t in texts) * scale / 72 >= 8.7  # pixels
    assert {run, "all figures: report.html", "generation"} <= {t.get_text() for t in texts} | {"generation"}
    legends = [a.get_legend().get_window_extent(renderer) for a in figure.axes if a.get_legend()]
    assert len(legends) == 2
    assert not legends[0].overlaps(legends[1])
    (caption,) = [t.get_window_extent(renderer) for t in texts if "ended early" in t.get_text()]
    assert figure.bbox.y0 <= caption.y0
    assert caption.x1 <= figure.bbox.x1
    for legend in legends:
        assert caption.y1 <= legend.y0
        assert figure.bbox.x0 <= legend.x0
        assert legend.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= legend.y0


@pytest.mark.slow
def test_chance_is_a_line_and_axes_end_where_accuracies_end(folder: Path) -> None:
    shown = replace(picture(Commons(folder), "twelve"), chance_percent=62.5)
    left, right = still(shown).axes[:2]
    for axes, values in ((left, shown.scores), (right, shown.measurements)):
        low, high = axes.get_ylim()
        assert 0 <= low < min(values)
        assert max(values) <= high <= 100
    drawn = [line for line in right.get_lines() if set(line.get_ydata()) == {62.5}]  # type: ignore[arg-type]
    assert len(drawn) == 1
    assert left.get_ylim()[0] > 62.5
    assert "\u25be chance 62.5 %" in [t.get_text() for t in left.texts]
    assert not list(still(picture(Commons(folder), "one")).axes[0].texts)  # its chance level is not known


def test_an_axis_of_accuracies_is_within_0_and_100() -> None:
    assert ACCURACY.axis([50.0, 100.0]) == (46.5, 100.0)
    assert ACCURACY.axis([1.0, 60.0]) == (0.0, pytest.approx(64.13))
    assert ACCURACY.axis([70.0, 400.0]) == (69.0, 71.0)
    assert ACCURACY.axis([]) == (0.0, 100.0)


def test_the_colour_bar_names_whole_generations() -> None:
    assert whole_generations(0, 3) == [0, 1, 2, 3]
    assert whole_generations(0, 24) == [0, 3, 6, 9, 12, 15, 18, 21, 24]


def test_of_many_networks_the_front_alone_has_whiskers() -> None:
    error = standard_error(99.5, 100)
    points = [Point(Network(network=n), 10**6, 99.5, error) for n in range(41)]
    shown = Picture("r", "t", "s", 5, points, points[:2])
    assert [w.point.network for w in shown.whiskers] == [0, 1]
    # 0.5 errors: p = 2.5 / 104, 100 sqrt(p (1 - p) / 100) = 1.53; no accuracy is above 100
    assert [(round(w.below, 2), w.above) for w in shown.whiskers] == [(1.53, 0.5)] * 2
    shown.points.pop()
    assert len(shown.whiskers) == 40
    shown.points = [replace(point, error=None) for point in points]
    assert shown.whiskers == []


@pytest.mark.slow
def test_an_imported_run_that_lacks_almost_all(tmp_path: Path) -> None:
    """No counts of images, no costs, no experiment to speak of."""
    with RunWriter.open(tmp_path / "c", "r", {"name": "r", "experiment": {}, "dataset": "xfel"}) as writer:
        network = Network(
            network=0, status=NetworkStatus.completed, best_accuracy_percent=90.0, epochs_trained=1
        )
        writer.record(network, epochs=[Epoch(epoch=1, validation_accuracy_percent=90.0)])
    assert draw(tmp_path / "c", "r", tmp_path).read_bytes().startswith(b"\x89PNG")
    shown = picture(Commons(tmp_path / "c"), "r")
    assert "best 90.00 %" in shown.summary
    assert not shown.whiskers


def test_a_run_still_going(folder: Path) -> None:
    shown = picture(Commons(folder), "going")
    assert [(c.network, c.generation, len(c.epochs), c.finished) for c in shown.curves] == [
        (0, 0, 25, True),
        (1, 0, 9, True),
        (2, 0, 7, False),
        (3, None, 1, False),
    ]
    assert shown.failed == 1
    assert shown.horizon == HORIZON
    assert "34 of 50 epochs (32.0 % saved)" in shown.summary
    assert "running" in shown.summary
    assert [c.network for c in shown.predicted] == [1, 2]  # network 3 has no prediction after one epoch


def test_a_network_that_costs_nothing_leaves_the_others_room() -> None:
    usual = [100.0 + i for i in range(40)]
    assert cost_floor(usual) == 0.0
    assert cost_floor([0.016, *usual]) == pytest.approx(50.5)
    assert cost_floor([7.0]) == 0.0


def test_what_was_stopped_has_the_interval_of_its_prediction() -> None:
    stopped = Network(
        network=0, status=NetworkStatus.stopped, predicted_low=-3.0, predicted_high=97.5, flops=10**6
    )
    unknown = replace(stopped, network=1, predicted_low=None)
    whole = replace(stopped, network=2, status=NetworkStatus.completed)
    points = [Point(one, 10**6, 90.0, standard_error(90.0, 100)) for one in (stopped, unknown, whole)]
    shown = Picture("r", "t", "s", 5, points)
    assert [(one.point.network, one.low, one.high) for one in shown.intervals] == [(0, 0.0, 97.5)]
    assert [one.point.network for one in shown.whiskers] == [1, 2]
    assert max(shown.scores) == 97.5
    shown.points *= 201
    assert shown.intervals == []  # would cover everything else


def test_bad_input_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no run 'absent'"):
        front_figure(Commons(folder), "absent", tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot create the folder"):
        front_figure(Commons(folder), "one", tmp_path / "file" / "a.png", tmp_path / "a.html")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
