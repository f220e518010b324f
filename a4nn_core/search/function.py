"""A function, a generator or an object of the user as a strategy, such as one that asks a language model."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator

from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.search.base import Rejected, SearchSettings
from a4nn_core.search.history import History, Trial
from a4nn_core.search.proposals import ProposalSettings, Proposer

_GIVEN: dict[str, Any] = {}
"""what this process was handed by ``run(..., strategy=...)``, by the name that is recorded"""


class CallableSearch(ProposalSettings):
    """Genomes from a Python function of the history, a generator, or an object with ask and tell."""

    name: Literal["callable"] = "callable"
    function: str
    """where it is, such as "my_module:propose"; it is imported from the working folder, too"""

    @field_validator("function")
    @classmethod
    def _can_propose(cls, function: str) -> str:
        _check(_found(function), function)
        return function

    @classmethod
    def of(cls, strategy: object, before: SearchSettings) -> CallableSearch:
        """Settings for something that proposes genomes, in place of another strategy.

        Args:
            strategy: a function, a generator, a class or an object.
            before: settings whose objectives, bounds, number of networks and the like are kept.

        Raises:
            BadInput: it cannot propose genomes.
        """
        named = strategy if hasattr(strategy, "__qualname__") else type(strategy)
        function = f"{getattr(named, '__module__', '?')}:{getattr(named, '__qualname__', '?')}"
        try:
            _check(strategy, function)
        except ValueError as error:
            raise BadInput(f"strategy: {error}") from None
        _GIVEN[function] = strategy
        kept = {
            name: getattr(before, name)
            for name in (*SearchSettings.model_fields, "batch")
            if name != "name" and hasattr(before, name)
        }
        return cls(function=function, **kept)

    def proposer(self) -> Proposer:
        try:
            what = _found(self.function)
        except ValueError as error:
            raise BadInput(f"[search] function = {self.function!r}: {error}") from None
        return _FromPython(what, self.function)


def _found(name: str) -> Any:
    """What has a name.

    Raises:
        ValueError: there is nothing of that name.
    """
    if name in _GIVEN:
        return _GIVEN[name]
    module, colon, path = name.partition(":")
    if not module or not colon or not path:
        raise ValueError("it is not of the form module:function")
    if module == "__main__" or "<" in path:
        raise ValueError(
            "it was handed over by a program, and cannot be imported; run that program again, or put the "
            "function into a module"
        )
    sys.path.insert(0, here := str(Path.cwd()))
    try:
        found: Any = import_module(module)
    except ImportError as error:
        raise ValueError(f"module {module} cannot be imported: {error}") from None
    except Exception as error:
        raise ValueError(f"module {module} cannot be imported: {_told(error)}") from error
    finally:
        sys.path.remove(here)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ValueError(f"module {module} has no {path}") from None
    return found


def _asks_and_tells(what: Any) -> bool:
    return callable(getattr(what, "ask", None)) and callable(getattr(what, "tell", None))


def _arguments(what: Any) -> int:
    """How many positional arguments it takes, at most two: with two it is called for each ask, with one only
    once.

    Raises:
        ValueError: it takes others.
    """
    try:
        signature = inspect.signature(what)
    except (TypeError, ValueError):
        return 2  # written in C; it is told by its own error
    for count in (2, 1):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count
    raise ValueError(f"it takes {signature}, but it is called with (history, count), or with (history)")


def _check(what: Any, name: str) -> None:
    """Refuse what cannot propose genomes.

    Raises:
        ValueError: it cannot.
    """
    if inspect.isclass(what):
        if not _asks_and_tells(what):
            raise ValueError(f"class {name} has no methods ask and tell")
        return
    if _asks_and_tells(what) or hasattr(what, "__next__"):
        return
    if not callable(what):
        raise ValueError(
            f"{name} is neither a function nor a generator, nor has it methods ask and tell "
            f"(it is of type {type(what).__name__})"
        )
    if _arguments(what) == 1 and not inspect.isgeneratorfunction(what):
        raise ValueError(
            f"{name} takes one argument but is no generator; a function is called with (history, count)"
        )


class _FromPython:
    """Asks what was found in Python."""

    waiting = False

    def __init__(self, what: Any, name: str) -> None:
        self._what = what
        self._name = name
        self._begun: Any = None
        self._view = _View()
        self._early: list[Trial] = []  # what was told before it was first asked, of earlier runs' genomes
        plain = not inspect.isclass(what) and not _asks_and_tells(what) and not hasattr(what, "__next__")
        self.has_state = not (plain and _arguments(what) == 2)

    def propose(self, history: History, count: int) -> Iterable[object]:
        self._view.now = history
        if not self.has_state:
            return self._guarded(self._called(self._what, history, count))
        if self._begun is None:
            self._begin()
        if _asks_and_tells(self._begun):
            return self._guarded(self._called(self._begun.ask, count))
        return self._guarded(self._begun)

    def _begin(self) -> None:
        if inspect.isclass(self._what):
            takes = [p for p in inspect.signature(self._what).parameters.values() if p.default is p.empty]
            self._begun = self._called(self._what, *([self._view] if takes else []))
        elif _asks_and_tells(self._what) or hasattr(self._what, "__next__"):
            self._begun = self._what
        else:
            self._begun = self._called(self._what, self._view)
        for trial in self._early:
            self.told(trial)
        self._early = []

    def _called(self, what: Any, *arguments: object) -> Any:
        try:
            return what(*arguments)
        except A4NNError:
            raise
        except Exception as error:
            raise self._failed(error) from error

    def _guarded(self, answer: Any) -> Iterator[object]:
        """What it answered, one after another."""
        if isinstance(answer, (str, bytes, dict)) or not isinstance(answer, Iterable):
            raise BadInput(
                f"search callable: {self._name} returned {type(answer).__name__}; a list of genomes is needed"
            )
        genomes = iter(answer)
        while True:
            try:
                one = next(genomes)
            except StopIteration:
                return
            except A4NNError:
                raise
            except Exception as error:
                raise self._failed(error) from error
            yield one

    def _failed(self, error: Exception) -> BadInput:
        return BadInput(
            f"search callable: {self._name} failed: {_told(error)}; when that is corrected, run it again to "
            "go on"
        )

    def told(self, trial: Trial) -> None:
        if self._begun is None:
            self._early += [trial] if self.has_state else []
        elif _asks_and_tells(self._begun):
            self._called(self._begun.tell, trial)

    def refused(self, rejected: Rejected) -> None:
        if callable(hears := getattr(self._begun, "refused", None)):
            self._called(hears, rejected)

    def close(self) -> None:
        if inspect.isgenerator(self._begun):
            self._begun.close()


class _View:
    """The history as a generator or an object sees it that was begun with it: as it is whenever it looks."""

    now: History

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


def _told(error: Exception) -> str:
    """An exception with the place where it was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({Path(last[0].filename).name}, line {last[0].lineno})" if last else ""
    return f"{type(error).__name__}: {error}{place}"
