"""Targets of text that a search writes and reads: journals, event logs, experiments."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from hypothesis.strategies import DrawFn, SearchStrategy

from a4nn_core.commons import Commons, Journal, RunFolder, predictions_of, read_epochs, read_events
from a4nn_core.commons.check import check
from a4nn_core.commons.events import Payload, considered_of, payload, rejected_of
from a4nn_core.commons.records import by_epoch
from a4nn_core.commons.schema import TABLES
from a4nn_core.commons.snapshot import Snapshot
from a4nn_core.experiment import Experiment, load_experiment
from fuzzing.changes import bytes_changed, changed, lines_changed, value_changed
from fuzzing.target import Target, each

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures"
PRESETS = files("a4nn_core") / "presets"
COMMONS = FIXTURES / "commons-layout-1"
SEARCHED = FIXTURES / "search-layout-1"


class _Lines(Target):
    """JSON lines of a run, in a commons that holds little else."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.commons = folder / "commons"
        self.run_folder = RunFolder(self.commons, "going")
        shutil.copytree(COMMONS / "runs/going", self.run_folder.path, ignore=lambda *_: ["tables"])
        shutil.copy(COMMONS / "commons.json", self.commons)

    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        return changed(corpus, lines_changed)


class Journals(_Lines):
    """The epochs of a network in training."""

    name = "journals"
    what = "journals of networks in training: JSON lines with checksums"

    @classmethod
    def seeds(cls) -> list[bytes]:
        return [path.read_bytes() for path in sorted((COMMONS / "runs/going/journals").glob("*.jsonl"))]

    def run(self, data: bytes) -> None:
        journal = self.run_folder.journal(1)
        journal.write_bytes(data)
        commons = Commons(self.commons)
        each(
            [
                lambda: [e.line() for e in by_epoch(read_epochs(journal))],
                lambda: predictions_of(read_epochs(journal)),
                lambda: commons.epochs("going"),
                lambda: commons.predictions("going"),
                lambda: check(self.commons),
                lambda: Journal(journal).close(),  # cuts off a torn line
            ]
        )


class Events(_Lines):
    """The event log of a run."""

    name = "events"
    what = "event logs of runs: JSON lines with checksums"

    @classmethod
    def seeds(cls) -> list[bytes]:
        logs = [COMMONS / "runs/compacted", COMMONS / "runs/going", SEARCHED / "runs/searched"]
        return [b"".join((log / "events.jsonl").read_bytes().splitlines(keepends=True)[:40]) for log in logs]

    def run(self, data: bytes) -> None:
        self.run_folder.events.write_bytes(data)
        commons = Commons(self.commons)
        each(
            [
                self._payloads,
                lambda: considered_of(read_events(self.run_folder.events)),
                lambda: rejected_of(read_events(self.run_folder.events)),
                lambda: commons.events("going"),
                lambda: commons.run("going"),
                lambda: Snapshot(self.commons).table(TABLES["considered"]),
                lambda: check(self.commons),
            ]
        )

    def _payloads(self) -> None:
        of_kind = {str(kind): wanted for wanted in Payload.__subclasses__() for kind in wanted.kinds}
        for event in read_events(self.run_folder.events):
            if event.kind in of_kind:
                payload(event, of_kind[event.kind]).data()


def toml_changed(draw: DrawFn, data: bytes) -> bytes:
    """One value of a TOML document replaced, left out, repeated or renamed."""
    try:
        value = value_changed(draw, tomllib.loads(data.decode()))
        tables = value if isinstance(value, dict) else {"name": value}
        lines = [f"{json.dumps(key)} = {_toml(inner)}\n" for key, inner in tables.items()]
        return "".join(lines).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        return bytes_changed(draw, data)


def _toml(value: object) -> str:
    """A value of JSON as TOML, which has no null."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)  # nan and inf as TOML has them
    return json.dumps("" if value is None else value, default=str)


_HEAD = """
name = "x"
data = { name = "digits" }
space = { name = "macro" }
prior = { auto = true }
[search]
name = "a4nn"
constraints = { mflops = { most = 100 } }
"""
_RULES = (
    'name = "median"',
    'name = "interval"',
    'name = "any"\nrules = [{ name = "patience" }, { name = "not-before", epochs = 3, rule = "median" }]',
)


class Experiments(Target):
    """Experiment files."""

    name = "experiments"
    what = "experiments: TOML"

    @classmethod
    def seeds(cls) -> list[bytes]:
        presets = [
            path.read_bytes() for path in sorted(PRESETS.iterdir(), key=str) if path.name.endswith(".toml")
        ]
        return [*presets, *(f"{_HEAD}[termination]\n{rule}\n".encode() for rule in _RULES)]

    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        return changed(corpus, toml_changed)

    def run(self, data: bytes) -> None:
        path = self.folder / "experiment.toml"
        path.write_bytes(data)
        read = load_experiment(str(path))
        again = Experiment.from_mapping(tomllib.loads(read.to_toml()))
        assert again == read, "the experiment that was written out is another one"
