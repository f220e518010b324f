"""A report matches any two of its networks in the browser: what it finds there is what Python finds."""

from __future__ import annotations

import random
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from chromium import NEEDS_CHROMIUM
from test_difference import branches, chain, renumbered

from a4nn_core.archaeology.difference import difference
from a4nn_core.archaeology.graphs import Graphs
from a4nn_core.archaeology.sketch import old_and_new, sketch
from a4nn_core.spaces import SPACES
from a4nn_core.spaces.architecture import Architecture, Layer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def blank(browser: Browser) -> Page:
    """An empty page with the code that compares."""
    shown = browser.new_page()
    shown.set_default_timeout(120_000)
    code = files("a4nn_core") / "report" / "page" / "matching.js"
    shown.add_script_tag(content=code.read_text(encoding="utf-8"))
    return shown


def drawn_in_a_page(page: Page, pairs: list[tuple[Architecture, Architecture]]) -> list[dict[str, Any]]:
    """What a page says of pairs of architectures: pairs of layers, words, states of nodes and links."""
    graphs = Graphs()
    held = [[graphs.add(one) for one in pair] for pair in pairs]
    sketches = [[sketch(one).to_json() for one in pair] for pair in pairs]
    found: list[dict[str, Any]] = page.evaluate(
        """({ doc, held, sketches }) => held.map((pair, at) => {
          const graphs = pair.map((one) => graphOf(doc, one));
          const found = differenceOf(...graphs);
          const drawn = [found.old, found.fresh]
            .map((states, i) => markedSketch(sketches[at][i], graphs[i], states));
          const states = drawn
            .map((one) => [one.nodes.map((node) => node[4]), one.links.map((link) => link[2])]);
          return { pairs: matchOf(...graphs), words: inWords(found), states };
        })""",
        {"doc": {"layers": graphs.layers, "order": graphs.order()}, "held": held, "sketches": sketches},
    )
    return found


def drawn_by_python(pair: tuple[Architecture, Architecture]) -> dict[str, Any]:
    found = difference(*pair)
    return {
        "pairs": [list(pair) for pair in found.pairs],
        "words": found.text(),
        "states": [
            [[str(node.state) for node in one.nodes], [str(link.state) for link in one.links]]
            for one in old_and_new(found)
        ],
    }


def networks_of(space: str, count: int, seed: int) -> list[Architecture]:
    import numpy as np

    made, rng = SPACES.make(space, "space"), np.random.default_rng(seed)
    return [made.decode(made.sample(rng), (3, 32, 32), 10) for _ in range(count)]


@pytest.mark.parametrize("space", ["macro", "genetic-cnn", "layer-sequence", "free-graph", "pso-cnn"])
def test_any_two_networks_of_a_space(blank: Page, space: str) -> None:
    networks = networks_of(space, 7, 1)
    pairs = [(one, other) for one in networks for other in networks]
    seen = drawn_in_a_page(blank, pairs)
    for pair, found in zip(pairs, seen, strict=True):
        assert found == drawn_by_python(pair)
    assert {found["words"] for found in seen} > {"the same network"}


def test_two_spaces_equal_networks_and_equal_branches(blank: Page) -> None:
    macro, small = networks_of("macro", 3, 2), networks_of("nas-bench-macro", 3, 3)
    wide = [branches(4, 3), branches(4, 3, extra=1), branches(3, 5), renumbered(branches(4, 3), 5)]
    thin = [chain(Layer("conv", 8)), chain(Layer("conv", 8, kernel=3, padding=1), Layer("conv", 16))]
    renamed = [renumbered(one, seed) for seed, one in enumerate(macro)]
    everyone = [*macro, *small, *wide, *thin, *renamed]
    pairs = [(one, other) for one in everyone for other in everyone]
    chosen = [*random.Random(0).sample(pairs, 60), *zip(macro, renamed, strict=True)]
    for pair, found in zip(chosen, drawn_in_a_page(blank, chosen), strict=True):
        assert found == drawn_by_python(pair)
