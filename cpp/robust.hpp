// Losses that are less sensitive to outliers than squares, by iteratively reweighted least squares.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "levenberg_marquardt.hpp"
#include "objective.hpp"

namespace a4nn {

enum class Loss { squares, huber, soft_l1 };

// rho(z) and its derivative for a squared residual z in units of the squared scale, as scipy.optimize.least_squares
// defines them.
struct Rho {
    double value, slope;
};

inline Rho rho(Loss loss, double z) {
    switch (loss) {
        case Loss::huber: {
            const double root = std::sqrt(z);
            return z <= 1 ? Rho{z, 1} : Rho{2 * root - 1, 1 / root};
        }
        case Loss::soft_l1: {
            const double root = std::sqrt(1 + z);
            return {2 * (root - 1), 1 / root};
        }
        case Loss::squares: break;
    }
    return {z, 1};
}

// Move the objective's best point from the least squares fit to the fit of the loss: the weight of a residual is rho'.
// weights: weights of the squared residuals, empty if all are one.
inline Ended reweight(Objective& objective, Loss loss, double scale, std::span<const double> weights,
                      std::size_t points) {
    // a round need not converge: the next weights move its minimum
    constexpr int max_rounds = 100, steps_of_round = 10;
    // least_change is relative; a loss below the floor counts as zero
    constexpr double least_change = 1e-9, floor = 1e-12;
    Problem& problem = objective.problem();
    const std::vector<double> given =
        weights.empty() ? std::vector<double>(points, 1.0) : std::vector<double>(weights.begin(), weights.end());
    std::vector<double> factor(points);
    double last = infinity;
    Ended ended = Ended::settled;
    for (int round = 0; round < max_rounds; ++round) {
        if (objective.exhausted()) return Ended::at_limit;
        const Point here = objective.best();
        objective.cost(here.u);
        double sum = 0;
        for (std::size_t i = 0; i < points; ++i) {
            const double r = problem.residual(i);
            const Rho at = rho(loss, given[i] * r * r / (scale * scale));
            sum += at.value;
            factor[i] = at.slope;
        }
        if (std::abs(last - sum) <= least_change * (sum + floor) || objective.exhausted()) return ended;
        last = sum;
        problem.weigh([&](std::size_t i) { return given[i] * factor[i]; });
        objective.forget();
        if (problem.searched() == 0) objective.cost(here.u);
        else if (levenberg_marquardt(objective, here.u, steps_of_round) == Ended::at_limit) ended = Ended::at_limit;
        if (!objective.found()) {
            objective.restore(here);
            return ended;
        }
    }
    return Ended::at_limit;
}

}  // namespace a4nn
