"""PENGUIN in other people's training: a plain loop (``Watch``, and ``Peers`` for several networks), Optuna,
Lightning, Ray Tune.

Each of the modules ``optuna``, ``lightning`` and ``ray`` imports its package when it is imported itself, and
no other module of A4NN imports them.
"""

from a4nn_core.adapters.peers import Peers
from a4nn_core.adapters.watch import Watch

__all__ = ["Peers", "Watch"]
