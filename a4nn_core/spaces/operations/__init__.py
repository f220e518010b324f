"""Layer operations: one file per operation, with its name; ``base.py`` defines what it declares."""

from __future__ import annotations

from pkgutil import iter_modules

from a4nn_core.component import Registry
from a4nn_core.spaces.operations.base import Kept, Operation

__all__ = ["OPERATIONS", "Kept", "Operation"]


def _builtin() -> dict[str, str]:
    """The operations of this folder by name, each with its import path."""
    names = [module.name for module in iter_modules(__path__) if module.name != "base"]
    return {name: f"{__name__}.{name}:{name.title().replace('_', '')}" for name in names}


OPERATIONS: Registry[Operation] = Registry("operation", "a4nn.operations", _builtin())
