"""How a fit or a prediction came about: every status code of PENGUIN."""

from __future__ import annotations

from a4nn_core.vocabulary import Word


class Status(Word):
    """The status of a fit, or of a prediction; a prediction that rests on one fit has the status of that fit.

    The codes of fits, and their messages, are those of the compiled fitter (``cpp/status.hpp``).
    """

    converged = "converged", "The fit converged inside the bounds."
    at_bound = (
        "at_bound",
        "The best parameters lie on a bound: the optimum may be at infinity, the fitted curve is the best "
        "within it.",
    )
    evaluation_limit = (
        "evaluation_limit",
        "The cap on evaluations was reached; the parameters are the best that were seen.",
    )
    too_few_points = "too_few_points", "There are fewer points than parameters; nothing was fitted."
    not_finite = "not_finite", "A value of the curve is NaN or infinite; nothing was fitted."
    undefined = (
        "undefined",
        "The function has no finite value at one of the points for any starting value; nothing was fitted.",
    )

    predicted = "predicted", "The value was predicted from the curve, with an interval."
    best_so_far = "best_so_far", "No function keeps to the bounds; the prediction is the best value so far."
    fallen = "fallen", "The curve has collapsed; the interval reaches down to where it is now."
    measured = "measured", "The curve has reached the last epoch; the prediction is what was measured there."
    out_of_bounds = "out_of_bounds", "A value of the curve lies outside the bounds of the metric."
    saturated = "saturated", "The fitted asymptote lies at its upper bound."
    no_agreement = "no_agreement", "Predictions never agreed; the prediction is the last measured value."
