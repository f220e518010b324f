"""A4NN, Analytics for Neural Networks: architecture search that stops early and keeps every network's life.

The rooms of this package and the direction of the arrows between them are described in
``docs/architecture.md``. Importing it is cheap: torch, DuckDB and Prefect are imported by the rooms that
need them, when they need them.
"""

from importlib.metadata import version

__version__ = version("a4nn")
