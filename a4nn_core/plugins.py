"""Plug-ins of one kind by name: those of this package, and those that other packages add by entry points."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from a4nn_core.errors import BadInput

T = TypeVar("T")


class Catalogue(Generic[T]):
    """The plug-ins of one kind. None is imported before it is asked for by name.

    Args:
        kind: what they are called in messages.
        group: entry point group by which other packages add theirs.
        builtin: name to import path, such as ``a4nn_core.spaces.macro:Macro``.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._paths = dict(builtin)
        self._loaded: dict[str, T] = {}

    def names(self) -> list[str]:
        """All names that can be used, built-in first."""
        return [*self._paths, *(e.name for e in entry_points(group=self.group) if e.name not in self._paths)]

    def package(self, name: str) -> str:
        """The package that the plug-in with a name comes from; nothing is imported for it."""
        others = {entry.name: entry.value for entry in entry_points(group=self.group)}
        return (others | self._paths)[name].partition(":")[0].partition(".")[0]

    def find(self, name: str) -> T:
        """The plug-in with a name.

        Raises:
            BadInput: there is none; the message lists those that exist.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> T:
        if name in self._paths:
            module, _, attribute = self._paths[name].partition(":")
            return cast("T", getattr(import_module(module), attribute))
        for entry in entry_points(group=self.group):  # reads files of every package
            if entry.name == name:
                return cast("T", entry.load())
        raise BadInput(f"there is no {self.kind} named {name!r}; known: {', '.join(self.names())}")
