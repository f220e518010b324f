"""Questions to the records of a run: each answer is an exhibit, with words, figures, a table and a query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from a4nn_core.archaeology.chart import Exhibit
from a4nn_core.archaeology.descent import Family
from a4nn_core.archaeology.kinship import stream_exhibit
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.questions.curves import curves_exhibit
from a4nn_core.archaeology.questions.diversity import diversity_exhibit
from a4nn_core.archaeology.questions.foresight import foresight_exhibit
from a4nn_core.archaeology.questions.lineage import descent_exhibit
from a4nn_core.archaeology.questions.operators import operators_exhibit
from a4nn_core.archaeology.questions.resemblance import resemblance_exhibit
from a4nn_core.archaeology.questions.settled import settled_exhibit
from a4nn_core.archaeology.questions.traits import traits_exhibit
from a4nn_core.archaeology.stops import stops_exhibit
from a4nn_core.recorded_graphs import architectures_of

if TYPE_CHECKING:
    from a4nn_core.commons import Commons


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        name: short, as the command line takes it.
        text: as people ask it.
        ask: returns the answer for a run of a commons, and a network for those that ask about one.
        about_network: whether it is about one network; the most accurate one if none is named.
    """

    name: str
    text: str
    ask: Callable[[Commons, Life, int | None], Exhibit]
    about_network: bool = False


def _traits(commons: Commons, life: Life, _: int | None) -> Exhibit:
    return traits_exhibit(life, architectures_of(commons.layers(life.run), commons.edges(life.run)))


def _founders(_: Commons, life: Life, __: int | None) -> Exhibit:
    return stream_exhibit(life, Family(life.networks.values(), life.front))


QUESTIONS: dict[str, Question] = {
    question.name: question
    for question in (
        Question("traits", "What do the good networks share?", _traits),
        Question(
            "descent",
            "How did a network come about, and what did each step gain and cost?",
            lambda _, life, network: descent_exhibit(life, network),
            about_network=True,
        ),
        Question(
            "operators", "Which operators made improvements?", lambda _, life, __: operators_exhibit(life)
        ),
        Question("founders", "Whose descendants took the population over, and when?", _founders),
        Question(
            "diversity",
            "How diverse did generations stay, and how far back is their common ancestor?",
            lambda _, life, __: diversity_exhibit(life),
        ),
        Question(
            "resemblance",
            "Which stopped networks resemble members of the front?",
            lambda _, life, __: resemblance_exhibit(life),
        ),
        Question(
            "stopped",
            "Why was each network stopped, and what would have happened?",
            lambda _, life, __: stops_exhibit(life),
        ),
        Question(
            "alike", "Do networks that are alike learn alike?", lambda _, life, __: curves_exhibit(life)
        ),
        Question(
            "foresight",
            "Did predictions come true, before training and at the verdict?",
            lambda commons, life, _: foresight_exhibit(life, commons.predictions(life.run)),
        ),
        Question(
            "settled", "From which epoch on is the order settled?", lambda _, life, __: settled_exhibit(life)
        ),
    )
}
"""all questions by name"""
