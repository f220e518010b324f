"""The reasons of this project's rules for their verdicts. Rules of other packages have their own."""

from __future__ import annotations

from a4nn_core.vocabulary import Word


class Reason(Word):
    """The reason of a verdict: its code in the records, and its meaning."""

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
    promising = "promising", "Of the networks that wait it promises the most, and enough to train it further."
    outclassed = (
        "outclassed",
        "It is not expected to better the best network at no more cost by what the rule asks for.",
    )
    queued = "queued", "It promises enough, but others promise more, or enough networks have been promoted."
    on_front = "on_front", "It is on the measured front, whose members are trained to the end."
    within_error = (
        "within_error",
        "Its best value has improved by no more than the validation images can tell, for as many epochs as "
        "the rule looks back.",
    )
    behind_peers = "behind_peers", "At equal epoch, too many of the other networks are better."
    dominated_by_peers = (
        "dominated_by_peers",
        "At equal epoch, it is dominated by more of the other networks than the rule allows.",
    )
    not_promoted = (
        "not_promoted",
        "It waits: at its rung, the share of networks that the rule promotes is made up of others.",
    )
    beyond_layers = (
        "beyond_layers",
        "It waits: it is in none of the first non-dominated layers, which the rule finishes.",
    )
    learning_at_chance = (
        "learning-at-chance",
        "The rule would have ended it, but it is at chance level and its training accuracy rises.",
    )

    @classmethod
    def _missing_(cls, value: object) -> Reason | None:
        """The codes of earlier versions, which are still in their records."""
        return (
            {"beaten": cls.dominated, "settled": cls.no_gain}.get(value) if isinstance(value, str) else None
        )


def meaning(reason: str) -> str:
    """The meaning of a verdict's reason in a record of any version; the reason of another package's rule is
    returned unchanged."""
    try:
        return Reason(reason).meaning
    except ValueError:
        return reason
