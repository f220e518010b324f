// How a fit ended: a code and a message for each status. A fit that does not converge is an outcome, never an
// exception.
#pragma once

#include <array>

namespace a4nn {

enum class Status { converged, at_bound, evaluation_limit, too_few_points, not_finite, undefined };

struct StatusText {
    Status status;
    const char* code;
    const char* message;
};

inline constexpr std::array<StatusText, 6> status_texts{{
    {Status::converged, "converged", "The fit converged inside the bounds."},
    {Status::at_bound, "at_bound",
     "The best parameters lie on a bound: the optimum may be at infinity, the fitted curve is the best within it."},
    {Status::evaluation_limit, "evaluation_limit",
     "The cap on evaluations was reached; the parameters are the best that were seen."},
    {Status::too_few_points, "too_few_points", "There are fewer points than parameters; nothing was fitted."},
    {Status::not_finite, "not_finite", "A value of the curve is NaN or infinite; nothing was fitted."},
    {Status::undefined, "undefined",
     "The function has no finite value at one of the points for any starting value; nothing was fitted."},
}};

// Whether a fit with this status has parameters.
constexpr bool has_parameters(Status status) {
    return status == Status::converged || status == Status::at_bound || status == Status::evaluation_limit;
}

}  // namespace a4nn
