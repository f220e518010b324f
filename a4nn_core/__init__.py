"""A4NN, Analytics for Neural Networks: architecture search that stops early and keeps every network's life.

A search, and what it left:

>>> from a4nn_core import Commons, load_experiment, run
>>> small = ["search.networks=2", "search.population=2", "training.epochs=1"]
>>> run_id = run(load_experiment("digits", small), commons="commons")
>>> Commons("commons").sql("select count(*) from networks where status = 'completed'").fetchall()
[(2,)]
>>> [network.epochs_trained for network in Commons("commons").networks(run_id)]
[1, 1]

PENGUIN in a training of your own:

>>> from a4nn_core import Watch
>>> watch = Watch(horizon=25, incumbent=99.0)
>>> for accuracy_percent in (50.0, 55.0, 58.0, 60.0, 61.0):
...     verdict = watch(accuracy_percent)
>>> str(verdict.action), str(verdict.reason)
('stop', 'dominated')

The rooms of this package and the direction of the arrows between them are described in
``docs/architecture.md``. Importing it is cheap: a name is resolved on first use, and torch, DuckDB and
Prefect are imported by the rooms that need them, when they need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from a4nn_core.exports import lazy

if TYPE_CHECKING:
    from a4nn_core.adapters.watch import Watch as Watch
    from a4nn_core.commons.reader import Commons as Commons
    from a4nn_core.errors import A4NNError as A4NNError
    from a4nn_core.errors import BadInput as BadInput
    from a4nn_core.experiment import Experiment as Experiment
    from a4nn_core.experiment import load_experiment as load_experiment
    from a4nn_core.experiment import presets as presets
    from a4nn_core.version import __version__ as __version__
    from a4nn_core.workflow.run import run as run

_WHERE = {
    "A4NNError": "errors",
    "BadInput": "errors",
    "Commons": "commons.reader",
    "Experiment": "experiment",
    "Watch": "adapters.watch",
    "__version__": "version",
    "load_experiment": "experiment",
    "presets": "experiment",
    "run": "workflow.run",
}

__all__ = [
    "A4NNError",
    "BadInput",
    "Commons",
    "Experiment",
    "Watch",
    "__version__",
    "load_experiment",
    "presets",
    "run",
]


__getattr__ = lazy(__name__, _WHERE)
