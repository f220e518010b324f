"""Targets of what other programs say to a running search, and browsers to the explorer.

An input of genomes or requests is a name, of a search space or of a view, a newline, and JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from hypothesis.strategies import DrawFn, SearchStrategy

from a4nn_core.cli.asking import tell
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.explore.app import Explorer, Stopping
from a4nn_core.explore.catalogue import Catalogue
from a4nn_core.jsonable import to_json
from a4nn_core.search.base import Study, no_violation
from a4nn_core.search.function import CallableSearch
from a4nn_core.search.random_search import Random
from a4nn_core.spaces import SPACES
from a4nn_core.spaces.base import Space
from a4nn_core.workflow.outside import outside
from fuzzing.changes import changed, json_changed, lines_changed
from fuzzing.records import COMMONS
from fuzzing.target import Target

_SHAPE, _CLASSES = (1, 8, 8), 2
_SEED = 1


def named_changed(draw: DrawFn, data: bytes) -> bytes:
    """The JSON behind a name, changed in its structure."""
    name, _, content = data.partition(b"\n")
    return name + b"\n" + json_changed(draw, content)


class _Named(Target):
    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        return changed(corpus, named_changed)


def _spaces() -> dict[str, Space]:
    return {name: SPACES.make({"name": name}, "fuzzing") for name in SPACES.names() if name != "designed"}


class Genomes(_Named):
    """Genomes that a program or a language model proposes."""

    name = "genomes"
    what = "genomes that other programs propose, in every search space"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._spaces = _spaces()

    @classmethod
    def seeds(cls) -> list[bytes]:
        rng = np.random.default_rng(_SEED)
        return [f"{name}\n{to_json(space.sample(rng))}".encode() for name, space in _spaces().items()]

    def run(self, data: bytes) -> None:
        name, _, content = data.partition(b"\n")
        space = self._spaces.get(name.decode(errors="replace"), self._spaces["macro"])
        text = content.decode(errors="replace")
        study = Study(lambda genome: space.decode(genome, _SHAPE, _CLASSES), 1)
        search = CallableSearch.of(lambda *_: [text], Random(networks=1))
        strategy = search.begin(space, _SEED, no_violation, study)
        if not (found := strategy.ask(1)):
            raise BadInput(strategy.rejected()[0].explanation)
        architecture = study.decode(found[0].genome)
        json.dumps([architecture.to_json(), architecture.hash, architecture.flops, architecture.parameters])


class Told(Target):
    """What other programs measured."""

    name = "told"
    what = "measurements of networks that are trained elsewhere: a4nn tell --lines"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._whole, self._commons = folder / "whole", folder / "commons"
        tables = {
            "name": "told",
            "data": {"name": "digits"},
            "space": {"name": "macro", "phases": 1, "nodes": 3, "channels": 2},
            "search": {"name": "random", "networks": 8},
            "termination": {"name": "none"},
        }
        with outside("r", self._whole, Experiment.from_mapping(tables)) as run:
            run.ask(4)

    @classmethod
    def seeds(cls) -> list[bytes]:
        lines: list[dict[str, object]] = [
            {"network": 0, "error_percent": 4.2, "seconds": 3.5},
            {"network": 1, "curve": [50.0, 80.5, 91.0]},
            {"network": 2, "failed": "out of memory"},
            {"network": 3, "accuracy_percent": 97.0, "loss": 0.1},
        ]
        return [b"".join(json.dumps(line).encode() + b"\n" for line in lines)]

    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        return changed(corpus, lines_changed)

    def run(self, data: bytes) -> None:
        lines = self.folder / "lines"
        lines.write_bytes(data)
        shutil.copytree(self._whole, self._commons)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                tell("r", lines=lines, commons=self._commons)
        finally:
            shutil.rmtree(self._commons)


class Requests(_Named):
    """What a page asks of the explorer; not its box of SQL, where any query may take its time."""

    name = "requests"
    what = "requests of the explorer's page"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        catalogue = Catalogue(Path(shutil.copytree(COMMONS, folder / "commons")))
        catalogue.refresh()
        explorer = Explorer(catalogue, folder)
        self._views: dict[str, Callable[[bytes, Stopping], object]] = {
            "scatter": explorer.scatter,
            "networks": explorer.networks,
            "curves": explorer.curves,
            "compare": explorer.compare,
            "query": explorer.query,
        }

    @classmethod
    def seeds(cls) -> list[bytes]:
        networks = [{"run": "going", "network": 0}, {"run": "compacted", "network": 1}]
        bounds = [{"measure": "mflops", "least": 0.001, "most": None}]
        filtered = {"runs": ["going", "compacted"], "status": "completed", "bounds": bounds}
        axes = {"x": "mflops", "y": "best_accuracy_percent"}
        asked: list[tuple[str, dict[str, object]]] = [
            ("scatter", {"filter": filtered, **axes, "window": [0.0, 1e9, 0.0, 100.0], "wish": [None, 95.0]}),
            ("scatter", {"filter": {}, **axes, "dominated": False}),
            (
                "networks",
                {"filter": filtered, "sort": "mflops", "descending": True, "columns": ["epochs_trained"]},
            ),
            ("curves", {"picked": networks, "most": 10}),
            ("curves", {"filter": {}, "area": bounds}),
            ("compare", {"picked": networks}),
            ("query", {"filter": filtered, "picked": networks}),
        ]
        return [f"{view}\n{to_json(body)}".encode() for view, body in asked]

    def run(self, data: bytes) -> None:
        name, _, content = data.partition(b"\n")
        view = self._views.get(name.decode(errors="replace"), self._views["scatter"])
        to_json(view(content, Stopping()))
