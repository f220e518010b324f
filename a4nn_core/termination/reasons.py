"""Why a rule of this project ends a network, or does not. Rules of other packages have words of their own."""

from __future__ import annotations

from a4nn_core.vocabulary import Word


class Reason(Word):
    """The reason of a verdict: its word in the records, and what it means."""

    converged = "converged", "The newest predictions agree with each other."
    dominated = (
        "dominated",
        "Even at the optimistic end of its interval the network would be dominated by a member of the front.",
    )
    no_gain = (
        "no_gain",
        "The optimistic end of its interval lies beyond its best value by no more than the gain asked for.",
    )
    fixed = "fixed", "It had the epochs that every network gets."
    no_improvement = "no_improvement", "Its best value is as many epochs old as the rule has patience."
    learning_at_chance = (
        "learning-at-chance",
        "The rule would have ended it, but it is at chance level and its training accuracy rises.",
    )

    @classmethod
    def _missing_(cls, value: object) -> Reason | None:
        """The words of earlier versions, which their records keep."""
        return (
            {"beaten": cls.dominated, "settled": cls.no_gain}.get(value) if isinstance(value, str) else None
        )


def meaning(reason: str) -> str:
    """What the reason of a verdict, or of a record of any version, means; a word of another package's rule is
    returned as it is."""
    try:
        return Reason(reason).meaning
    except ValueError:
        return reason
