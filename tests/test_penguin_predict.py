"""``a4nn predict`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from a4nn_core.adapters import Watch
from a4nn_core.cli.predict import predict
from a4nn_core.errors import BadInput
from a4nn_core.penguin.curves import read_curves
from a4nn_core.penguin.engines import make_engine
from a4nn_core.penguin.plot import fitted
from a4nn_core.termination.base import RULES, Context

app = typer.Typer()
app.command()(predict)

RISING = "curve_id,epoch,accuracy\n" + "".join(f"a,{e},{90 - 40 * 0.7**e}\n" for e in range(1, 11))


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    path = tmp_path / "curves.csv"
    path.write_text(RISING + "b,2,40\nb,1,30\n")
    return path


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("engine", ["a4nn", "icpp23", "tpds22"])
def test_json_is_as_documented(curves: Path, engine: str) -> None:
    document = json.loads(run(curves, "--engine", engine, "--horizon", 25, "--json"))
    assert [c["curve_id"] for c in document["curves"]] == ["a", "b"]
    a, b = document["curves"]
    assert {"curve_id", "predicted", "low", "high", "function", "converged_at", "history"} <= a.keys()
    assert [h["epoch"] for h in a["history"]] == list(range(1, 11))
    assert {h.keys() == {"epoch", "predicted", "converged"} for h in a["history"]} == {True}
    converged = [h["epoch"] for h in a["history"] if h["converged"]]
    assert a["converged_at"] == (converged[0] if converged else None)
    if engine == "icpp23":
        assert a["predicted"] == pytest.approx(90, abs=0.1)
        assert a["converged_at"] == 6  # a noiseless exponential: the first three predictions agree
        assert b["predicted"] is None
        assert a["low"] is None
    if engine == "a4nn":
        assert a["low"] < a["predicted"] < a["high"]
        assert b["predicted"] > 40


def test_an_expression_is_fitted(curves: Path) -> None:
    document = json.loads(run(curves, "--function", "u - v * exp(-w * x)", "--horizon", 40, "--json"))
    assert document["curves"][0]["predicted"] == pytest.approx(90, abs=0.01)
    assert document["curves"][0]["function"] == "u - v * exp(-w * x)"


def test_the_horizon_is_the_longest_curve_unless_given(curves: Path) -> None:
    document = json.loads(run(curves, "--json"))
    assert document["curves"][0]["status"] == "measured"
    assert document["curves"][1]["status"] == "predicted"


def test_the_table_shows_every_curve(curves: Path) -> None:
    lines = run(curves, "--horizon", 25).splitlines()
    assert [line.split()[0] for line in lines] == ["curve", "a", "b"]


@pytest.mark.parametrize("ending", ["png", "svg", "html"])
def test_pictures(curves: Path, tmp_path: Path, ending: str) -> None:
    picture = tmp_path / f"picture.{ending}"
    run(curves, "--horizon", 25, "--plot", picture)
    content = picture.read_bytes()
    assert content.startswith({"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!doctype html"}[ending])
    assert len(content) > 5000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves.csv", picture.name]
    if ending == "html":
        for drawn in (b"measured", b"predicted for epoch 25", b"newest fit", b"90 % interval"):
            assert drawn in content


def test_the_newest_fit_is_drawn_through_the_curve() -> None:
    values = [90 - 40 * 0.7**e for e in range(1, 11)]
    for engine in (make_engine("a4nn", function="u - v * exp(-w * x)"), make_engine("tpds22")):
        along = dict(fitted(engine, values, 25))
        assert list(along) == list(range(1, 26))
        assert [along[e] for e in range(1, 11)] == pytest.approx(values, abs=0.01)
    ahead = dict(fitted(make_engine("a4nn"), values, 25))
    assert list(ahead) == list(range(11, 26))
    assert list(ahead.values()) == sorted(ahead.values())
    assert ahead[25] == make_engine("a4nn").predict(values, 25).value


def test_a_file_without_ids_is_one_curve(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("epoch,val_accuracy\n2,60\n1,50\n3,\n")
    (name, values), *rest = read_curves(path).items()
    assert (name, rest, values[:2]) == ("mine", [], [50.0, 60.0])
    assert values[2] != values[2]
    document = json.loads(run(path, "--horizon", 25, "--json"))
    assert document["curves"][0]["predicted"] is None
    assert document["curves"][0]["history"][1]["predicted"] is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs the columns epoch and accuracy"),
        ("curve_id,epoch\na,1\n", "it has: curve_id, epoch"),
        ("curve_id,epoch,accuracy\n", "has no curve"),
        ("curve_id,epoch,accuracy\na,1,50\na,1,51\n", "line 3: epoch 1 of curve 'a' appears twice"),
        ("curve_id,epoch,accuracy\na,1,50\na,3,51\n", "epoch 2 of curve 'a' is missing"),
        ("curve_id,epoch,accuracy\na,0,50\n", "line 2: epoch '0' is not a whole number from 1 on"),
        ("curve_id,epoch,accuracy\na,1.5,50\n", "epoch '1.5'"),
        ("curve_id,epoch,accuracy\na,1,fifty\n", "line 2: accuracy 'fifty' is not a number"),
        ("curve_id,epoch,accuracy\na,1,130\n", "line 2: accuracy 130 is not in percent (0 to 100)"),
        ("curve_id,epoch,accuracy\n,1,13\n", "line 2 has no curve_id"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        run(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--engine", "icpp99"], "no prediction engine named 'icpp99'"),
        (["--function", "a - b**"], "at position 8"),
        (["--function", "a - sin(x)"], "unknown function 'sin'"),
        (["--horizon", "0"], "--horizon 0 is below 1"),
        (["--plot", "picture.gif"], "must end in .png, .svg or .html"),
        (["--plot", "/no/such/folder/x.png"], "--plot /no/such/folder/x.png cannot be written"),
        (["--engine", "icpp23", "--schedule", "constant"], "--schedule is for the engine a4nn"),
        (["--fitter", "scipy"], "--fitter is for the engine icpp23, not 'a4nn'"),
        (["--engine", "icpp23", "--fitter", "magic"], "fitter = 'magic': input should be 'lm' or 'scipy'"),
        (["--schedule", "warm"], "schedule = 'warm'"),
    ],
)
def test_bad_options_are_one_sentence(curves: Path, options: list[str], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        run(curves, *options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("values", "engine", "words"),
    [
        ("50 nan 60 inf 70", "a4nn", "epoch 2 has no finite value"),
        ("50 60", "icpp23", "needs more than its 2 epochs"),
    ],
)
def test_why_there_is_no_prediction_is_said(tmp_path: Path, values: str, engine: str, words: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("epoch,accuracy\n" + "".join(f"{e},{v}\n" for e, v in enumerate(values.split(), 1)))
    done = CliRunner().invoke(app, [str(path), "--engine", engine, "--horizon", "25", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["curves"][0]["predicted"] is None
    assert words in done.stderr


def test_what_lies_beyond_the_horizon_is_not_looked_at(curves: Path) -> None:
    document = json.loads(run(curves, "--horizon", 4, "--json"))
    a = document["curves"][0]
    assert [h["epoch"] for h in a["history"]] == [1, 2, 3, 4]
    assert a["predicted"] == pytest.approx(90 - 40 * 0.7**4)


NOISY = [38.1, 55.9, 51.2, 66.0, 70.3, 69.8, 74.4, 73.9, 75.0, 75.3, 74.9, 75.4, 75.5, 75.3]


@pytest.mark.slow
@pytest.mark.parametrize(
    "engine",
    [
        {"engine": "icpp23"},
        {"engine": "icpp23", "fitter": "lm"},
        {"engine": "icpp23", "fitter": "scipy"},
        {"engine": "icpp23", "function": "pow3"},
        {"engine": "tpds22"},
        {"engine": "a4nn"},
    ],
)
def test_an_engine_means_the_same_in_a_rule_on_the_command_line_and_in_an_adapter(
    tmp_path: Path, engine: dict[str, str]
) -> None:
    """Equal predictions after every epoch, to the last bit, and agreement after the same."""
    path = tmp_path / "curve.csv"
    path.write_text("epoch,accuracy\n" + "".join(f"{e},{v}\n" for e, v in enumerate(NOISY, 1)))
    options = [text for key, value in engine.items() for text in (f"--{key}", value)]
    shown = json.loads(run(path, *options, "--horizon", 25, "--json"))["curves"][0]["history"]
    settings = {"name": "converged", **engine}
    rule, watch = RULES.make(settings, "[termination]"), Watch(25, rule=settings)
    judged = [rule.judge(NOISY[:k], Context(25)) for k in range(1, len(NOISY) + 1)]
    watched = [watch(value) for value in NOISY]
    predicted = [verdict.predicted for verdict in judged]
    assert [verdict.predicted for verdict in watched] == predicted
    assert [h["predicted"] for h in shown] == predicted
    assert sum(value is not None for value in predicted) >= 11
    for verdicts in (judged, watched):
        assert [verdict.action == "stop" for verdict in verdicts] == [h["converged"] for h in shown]


def test_the_fitters_of_icpp23_differ_as_their_paths_do() -> None:
    """So that a mix-up would be noticed."""
    lm, scipy = (make_engine("icpp23", fitter=f).predict(NOISY[:6], 25).value for f in ("lm", "scipy"))
    assert lm != scipy


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.csv cannot be read: No such file"):
        run(tmp_path / "none.csv")
