// One searched parameter: the minimum in a bracket, by secant steps on the exact derivative.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "objective.hpp"
#include "starts.hpp"

namespace a4nn {

// The ends of an interval and a point between them that is below both; a point at an end of the grid is its own end.
struct Bracket {
    double left, start, right;
};

// The bracket of a local minimum of the grid. It starts at the lowest point of the parabola through the minimum and
// its neighbours, if that lies between them, though not too near to a neighbour.
inline Bracket bracket(const StartGrid& grid, std::size_t i) {
    constexpr double farthest = 0.9;  // share of the way to a neighbour
    const double u = *grid[i];
    const bool first = i == 0, last = i + 1 == grid.size();
    Bracket out{first ? u : *grid[i - 1], u, last ? u : *grid[i + 1]};
    if (first || last || grid.cost(i - 1) == infinity || grid.cost(i + 1) == infinity) return out;
    const double a = u - out.left, b = out.right - u;
    const double left = (grid.cost(i - 1) - grid.cost(i)) / a, right = (grid.cost(i + 1) - grid.cost(i)) / b;
    if (!(left + right > 0)) return out;
    const double moved = u + 0.5 * (left * b - right * a) / (left + right);
    out.start = std::clamp(moved, u - farthest * a, u + farthest * b);
    return out;
}

// Secant steps kept inside the bracket; a step that would leave it halves it.
inline void line_search(Objective& objective, Bracket bracket) {
    constexpr int max_steps = 40;        // halving alone narrows a bracket to 1e-12 of its width in so many
    constexpr double narrow = 1e-9;      // relative to the first bracket and to u: shorter steps are not worth it
    constexpr double least_gain = 1e-6;  // share of the cost: a step that predicts less is the last
    Problem& problem = objective.problem();
    const double floor = problem.negligible();
    auto [left, u, right] = bracket;
    const double width = right - left;
    double last_u = u, last_slope = 0;
    for (int step = 0; step < max_steps && !objective.exhausted(); ++step) {
        const double cost = objective.cost_and_gradient(&u), slope = problem.gradient()[0];
        if (cost == infinity || !std::isfinite(slope)) {  // no value here: go back towards the known side
            u = 0.5 * (u + (u > last_u ? left : right));
            if (right - left < narrow * (1 + std::abs(u))) return;
            continue;
        }
        if (slope > 0) right = u;
        else left = u;
        double curvature = step == 0 ? 0 : (slope - last_slope) / (u - last_u);
        if (!(curvature > 0)) {
            double hessian[max_parameters][max_parameters];
            problem.approximate_hessian(hessian);
            curvature = hessian[0][0];
        }
        double next = u - slope / curvature;
        const bool inside = next > left && next < right;
        if (!inside) next = 0.5 * (left + right);
        // what the step can still gain, compared with the cost
        const double gain = std::abs(slope * (next - u));
        if (right - left <= narrow * (width + std::abs(u))) return;
        if (gain <= least_gain * cost + floor) {
            // so near the minimum the last step needs no check
            if (inside && objective.best().u[0] == u) objective.trust(&next);
            return;
        }
        last_u = u;
        last_slope = slope;
        u = next;
    }
}

}  // namespace a4nn
