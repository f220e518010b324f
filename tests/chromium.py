"""Chromium for tests of pages, driven by Playwright; without it they are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDS_CHROMIUM = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
"""the marks of a module whose tests open pages"""


@contextmanager
def running() -> Iterator[Browser]:
    """The browser."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as found:
        # the sandbox of Chromium needs a user who is not root, and pages of these tests are our own
        opened = found.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def windows(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages of a width and a height, with a network or not; all are closed in the end."""
    contexts: list[BrowserContext] = []

    def opened(width: int, height: int, offline: bool = False) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, offline=offline)
        contexts.append(context)
        context.set_default_timeout(120_000)  # a loaded machine is slow
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


@dataclass
class Watched:
    """A page with what its console said and what it asked the network for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def state(self) -> dict[str, str]:
        """What its address says."""
        found: dict[str, str] = self.page.evaluate(
            "Object.fromEntries(new URLSearchParams(location.hash.slice(1)))"
        )
        return found
