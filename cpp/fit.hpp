// Bounded least squares of a parametric function: linear parameters are eliminated, the others searched from a grid of
// starts, by a bracketed line search if there is one and by Levenberg-Marquardt if there are more.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "function.hpp"
#include "grid.hpp"
#include "levenberg_marquardt.hpp"
#include "line_search.hpp"
#include "objective.hpp"
#include "problem.hpp"
#include "robust.hpp"
#include "starts.hpp"
#include "status.hpp"

namespace a4nn {

struct FitOptions {
    Loss loss = Loss::squares;
    double scale = 1.0;  // residual at which a robust loss starts to bend, in the unit of y
    int max_evaluations = 2000;
};

struct FitResult {
    Status status = Status::undefined;
    double parameters[max_parameters] = {};
    double rms = std::numeric_limits<double>::quiet_NaN();
    int evaluations = 0;
};

// Reuses its buffers and grids of starts from fit to fit; no fit influences the result of a later one.
class Fitter {
  public:
    // weights: empty, or one per point, not negative.
    FitResult fit(const Function& function, std::span<const double> x, std::span<const double> y,
                  std::span<const double> weights = {}, const FitOptions& options = {}) {
        FitResult result;
        const auto finite = [](double v) { return std::isfinite(v); };
        if (!std::ranges::all_of(x, finite) || !std::ranges::all_of(y, finite)) {
            result.status = Status::not_finite;
            return result;
        }
        if (x.empty() || x.size() < function.names().size()) {
            result.status = Status::too_few_points;
            return result;
        }
        if (!problem_.set(function, x, y, weights)) return result;
        Objective objective(problem_, options.max_evaluations);
        Ended ended = search(objective);
        if (objective.found()) {
            if (options.loss != Loss::squares &&
                reweight(objective, options.loss, options.scale, weights, x.size()) == Ended::at_limit)
                ended = Ended::at_limit;
            describe(result, objective, ended);
        }
        result.evaluations = objective.evaluations();
        return result;
    }

  private:
    Ended search(Objective& objective) {
        const int searched = problem_.searched();
        Ended ended = Ended::settled;
        if (searched == 0) {
            objective.cost(Point().u);
        } else {
            starts_.measure(objective, grids_);
            const auto& minima = starts_.minima();
            // no evaluation is left for a search: the cheapest start is the fit
            if (objective.exhausted() && !minima.empty()) objective.cost(starts_[minima.front()]);
            if (searched == 1)
                for (std::size_t i : minima) line_search(objective, bracket(starts_, i));
            else ended = descend(objective);
        }
        return objective.exhausted() ? Ended::at_limit : ended;
    }

    // Levenberg-Marquardt from every minimum of the grid.
    Ended descend(Objective& objective) {
        constexpr int steps = 40, steps_of_best = 10 * steps;
        Ended ended = Ended::settled;
        bool known = false;
        for (std::size_t i : starts_.minima()) {
            if (objective.exhausted()) break;
            const Point best = objective.best();
            if (levenberg_marquardt(objective, starts_[i], steps, known ? &best : nullptr) == Ended::at_limit)
                ended = Ended::at_limit;
            known = objective.found();
        }
        // a long curved valley: only the best start is worth following to its end
        if (ended == Ended::at_limit && !objective.exhausted()) {
            const Point best = objective.best();
            ended = levenberg_marquardt(objective, best.u, steps_of_best);
        }
        return ended;
    }

    // The result at the best point.
    void describe(FitResult& result, Objective& objective, Ended ended) {
        const Point best = objective.best();
        objective.cost(best.u);
        const bool held = problem_.parameters(best.u, result.parameters);
        result.rms = problem_.rms();
        result.status = ended == Ended::at_limit ? Status::evaluation_limit
                        : held                   ? Status::at_bound
                                                 : Status::converged;
    }

    Problem problem_;
    StartGrid starts_;
    GridCache grids_;
};

}  // namespace a4nn
