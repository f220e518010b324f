"""Targets of PENGUIN and the importers of curves."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
from hypothesis.strategies import SearchStrategy

from a4nn_core.cli.importing import macro_127
from a4nn_core.interchange.curves_csv import import_csv
from a4nn_core.interchange.icpp23 import import_icpp23
from a4nn_core.penguin.base import PredictionEngine
from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.curves import read_curves
from a4nn_core.penguin.engines import make_engine
from a4nn_core.penguin.fit import fit
from a4nn_core.penguin.functions import FUNCTIONS, function
from a4nn_core.penguin.outcome import Loss
from a4nn_core.termination.base import RULES, Context, FrontSnapshot, Learning, TerminationRule
from a4nn_core.vocabulary import Direction, Schedule
from fuzzing.changes import bytes_changed, changed, csv_changed
from fuzzing.target import Target, each

_SCHEDULES: tuple[Schedule | None, ...] = (None, "annealed", "constant")
_LOSSES: tuple[Loss, ...] = ("squares", "huber", "soft_l1")
_MOST_VALUES, _MOST_CURVES = 30, 3
_ONE_CURVE = [51.2, 63.9, 70.1, 74.8, 76.0, 79.4, 80.2, 80.1, 82.5, 82.9]


class Curves(Target):
    """Files of curves: the two importers, and what ``a4nn predict`` does."""

    name = "curves"
    what = "learning curves: the CSV files of a4nn import csv, import icpp23 and predict"

    @classmethod
    def seeds(cls) -> list[bytes]:
        rows = [f"{c},{e},{v - 5 * c}" for c in (0, 1) for e, v in enumerate(_ONE_CURVE, start=1)]
        plain = "\n".join(["curve_id,epoch,accuracy", *rows, ""])
        genome = '"[[0, 0, 0, 1, 1, 0, 1], [1, 1, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1, 0]]"'
        named = "epoch,train_accs,val_accs,epoch_times,predictions,converged,params,function,penguin_times"
        published = [f"{named},genome,flops,arch"]
        for epoch, value in enumerate(_ONE_CURVE):
            fitted = ("inf,False,,", f"{value},{epoch == 9},[85.1 1.2 17.],[60. 70. inf]")[epoch > 2]
            published.append(f"{epoch},{value + 5},{value},66.2,{fitted},0.0001,{genome},893.3721,51")
        return [plain.encode(), "\n".join([*published, ""]).encode()]

    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        return changed(corpus, csv_changed)

    def run(self, data: bytes) -> None:
        path, commons = self.folder / "1gpu_1e14_stopping.csv", self.folder / "commons"
        path.write_bytes(data)
        try:
            if b"train_accs" in data.partition(b"\n")[0]:
                import_icpp23(path, commons, macro_127)
            else:
                each([lambda: self._predict(path), lambda: import_csv(path, commons)])
        finally:
            shutil.rmtree(commons, ignore_errors=True)

    def _predict(self, path: Path) -> None:
        read = {
            name: values[:_MOST_VALUES] for name, values in list(read_curves(path).items())[:_MOST_CURVES]
        }
        horizon = max(map(len, read.values()))
        for values in read.values():
            make_engine("a4nn").trace(values, horizon)


_VALUES = st.one_of(
    st.lists(st.floats(0, 100), max_size=12),
    st.lists(st.floats(0, 100) | st.sampled_from([math.nan, math.inf, -1.0, 100.0, 0.0, 1e308]), max_size=12),
    st.lists(st.floats(), max_size=12),
    st.tuples(st.sampled_from([0.0, 1.0, 50.0, 99.99, 100.0, 1e-300, 1e300]), st.integers(1, 40)).map(
        lambda flat: [flat[0]] * flat[1]
    ),
    st.tuples(st.floats(0, 100), st.floats(-5, 5), st.integers(1, 40)).map(
        lambda line: [line[0] + line[1] * e for e in range(line[2])]
    ),
)


class Fits(Target):
    """Values straight to functions, engines and rules."""

    name = "fits"
    what = "values of a curve, in every engine, rule and parametric function, and so in the C++ fitter"

    @classmethod
    def seeds(cls) -> list[bytes]:
        return [json.dumps(_case(_ONE_CURVE, 25, [0.0, 100.0], 1)).encode()]

    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        del corpus
        return st.builds(
            _case,
            _VALUES,
            st.sampled_from([1, 2, 10, 25, 200, 10**6, 0, -1]),
            st.sampled_from([[0.0, 100.0], [None, None], [0.0, None], [None, 100.0], [-1e308, 1e308]]),
            st.integers(0, 2**16),
        ).map(lambda case: json.dumps(case).encode())

    def run(self, data: bytes) -> None:
        case = json.loads(data)
        values, horizon, low_high = case["values"], case["horizon"], tuple(case["bounds"])
        rng = np.random.default_rng(case["seed"])
        context = Context(
            horizon,
            bounds=low_high,
            direction=list(Direction)[rng.integers(len(Direction))],
            schedule=_SCHEDULES[rng.integers(3)],
            front=FrontSnapshot.of(
                1,
                [{"accuracy_percent": 90.0, "mflops": 50.0}],
                {"accuracy_percent": Direction.maximise, "mflops": Direction.minimise},
            ),
            fixed={"mflops": 100.0},
            learning=Learning(tuple(values), 50.0, 1000, 200),
        )
        finished = [list(np.linspace(40 + i, 60 + i, max(horizon, 0) % 1000)) for i in range(9)]
        known = {name: getattr(context, name) for name in ("bounds", "direction", "schedule")}
        alone = list(FUNCTIONS)[rng.integers(len(FUNCTIONS))]
        engines: list[PredictionEngine] = [
            make_engine("a4nn", known=known),
            make_engine("a4nn", known=known, function=alone),
            make_engine("icpp23", known=known),
        ]
        if rng.integers(40) == 0:  # SciPy fits for them, which takes a hundred times longer
            engines += [
                make_engine("tpds22", known=known),
                make_engine("icpp23", known=known, fitter="scipy"),
            ]
        rules = [
            RULES.make({"name": name}, "rule") for name in ("converged", "interval", "patience", "saturation")
        ]
        each(
            [
                *(lambda engine=engine: engine.latest(values, horizon, finished) for engine in engines),
                *(lambda rule=rule: _judge(rule, values, context) for rule in rules),
                lambda: _fits(values, rng),
            ]
        )


def _case(
    values: Sequence[float], horizon: int, bounds: Sequence[float | None], seed: int
) -> dict[str, object]:
    return {"values": values, "horizon": horizon, "bounds": bounds, "seed": seed}


def _judge(rule: TerminationRule, values: Sequence[float], context: Context) -> None:
    if values:
        rule.judge(values, context)


def _fits(values: Sequence[float], rng: np.random.Generator) -> None:
    """Every function, alone with weights and a loss, and all at once."""
    weights = rng.exponential(size=len(values)) * rng.integers(0, 2, len(values))
    for one in FUNCTIONS.values():
        x = one.first + np.arange(len(values))
        fitted = fit(one, x, values, weights=weights, loss=_LOSSES[rng.integers(3)], scale=rng.exponential())
        if fitted.parameters:
            one.evaluate(fitted.parameters, x)
    fit_many(list(FUNCTIONS.values()), [np.asarray(values, dtype=np.float64)])


_LEAVES = st.one_of(
    st.sampled_from(["x", "n", "a", "b", "c", "d", "e1", "_", "1", "0", "2.5", "1e300", "1e-300", ".5"]),
    st.floats(min_value=0).map(repr),
    st.integers(min_value=0).map(str),
)
_EXPRESSIONS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds("{}{}{}".format, inner, st.sampled_from(["+", " - ", "*", "/", "**", "^"]), inner),
        st.builds("({}{}{})".format, inner, st.sampled_from(["+", " - ", "*", "/", "**", "^"]), inner),
        st.builds("{}({})".format, st.sampled_from(["exp", "log", "sqrt", "tanh", "-", "", "sin"]), inner),
    ),
    max_leaves=25,
)


class Expressions(Target):
    """Parametric functions as text."""

    name = "expressions"
    what = "parametric functions as text: the C++ parser, values, derivatives and fits"

    @classmethod
    def seeds(cls) -> list[bytes]:
        texts = [one.expression for one in FUNCTIONS.values()]
        return [text.encode() for text in [*texts, *FUNCTIONS, "accPow3", "python: a.b(x)"]]

    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        return _EXPRESSIONS.map(str.encode) | changed(corpus, bytes_changed)

    def run(self, data: bytes) -> None:
        one = function(data.decode(errors="surrogateescape"))
        count = len(one.parameters)
        x = one.first + np.arange(8.0)
        for value in (0.0, 1.5, -2.0, 1e300, math.nan, math.inf):
            one.evaluate({p.name: value for p in one.parameters}, x)
            one.compiled.jacobian([value] * count, x)
        fitted = fit(one, x, _ONE_CURVE[:8])
        if fitted.parameters:
            one.value_at(fitted.parameters, 25.0)
        make_engine("a4nn", function=one.name).latest(_ONE_CURVE, 25)
        make_engine("icpp23", function=one.name).latest(_ONE_CURVE, 25)
