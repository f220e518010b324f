"""No rule ends a network that is at chance level while it learns.

With few images the validation curve can stay at chance for epochs while the training curve rises: the
measured statistics lag behind training, or the network first learns features that only training images have.
Neither says anything about the end of the curve, but every rule that sees only the validation curve would end
training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from a4nn_core.precision import STANDARD_ERRORS, alike, standard_error
from a4nn_core.termination.base import Context, TerminationRule, Verdict
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action


def judge_learning(rule: TerminationRule, curve: Sequence[float], context: Context) -> Verdict:
    """The rule's verdict after the last epoch of the curve, but always to continue if the network is at
    chance level and its training accuracy rises.

    Args:
        rule: rule that judges.
        curve: the monitored metric, one value per epoch, from epoch 1.
        context: see Context. Without its ``learning`` the rule alone decides.
    """
    verdict = rule.judge(curve, context)
    if verdict.action is Action.proceed or not learns_at_chance(curve, context):
        return verdict
    evidence = {**verdict.evidence, "would_have_been": verdict.reason or verdict.action}
    return replace(verdict, action=Action.proceed, reason=Reason.learning_at_chance, evidence=evidence)


def learns_at_chance(curve: Sequence[float], context: Context) -> bool:
    """Whether the best accuracy is not distinguishable from chance while the newest training accuracy is
    above the first one by more than the counting errors."""
    learning = context.learning
    if learning is None or len(learning.training) < 2 or not curve:
        return False
    error = standard_error(learning.chance, learning.validation_images)
    if error is None or max(curve) > learning.chance + STANDARD_ERRORS * error:
        return False
    first, newest = learning.training[0], learning.training[-1]
    before, now = (standard_error(value, learning.training_images) for value in (first, newest))
    if before is None or now is None:
        return False
    return newest > first and not alike(first, before, newest, now)
