// Several searched parameters: Levenberg-Marquardt within bounds.
//
// Sources: Levenberg 1944 and Marquardt 1963 (damping by the diagonal of the Hessian); Fletcher 1971 (the damping
// follows the ratio of the actual to the predicted gain, with a quarter and three quarters as thresholds).
#pragma once

#include <algorithm>
#include <cmath>

#include "objective.hpp"

namespace a4nn {

// The cost about a point as a quadratic function, and steps that lower it.
class QuadraticModel {
  public:
    struct Step {
        bool possible = false;  // else every parameter is pressed against a bound, or there is no curvature
        bool bent = false;      // a bound cut it short
        double gain = 0;        // reduction of the cost that the model predicts for the step as cut
    };

    // The model at the point that the problem evaluated last, with derivatives.
    void take(Problem& problem) {
        q_ = problem.searched();
        std::copy_n(problem.gradient(), q_, slope_);
        problem.approximate_hessian(hessian_);
    }

    // Solve (H + damping diag H) step = -slope over the parameters that are not pressed against a bound: from u to
    // `next`.
    Step step(const Problem& problem, double damping, const double* u, double* next) const {
        Step out;
        int open[max_parameters], count = 0;
        double greatest = 0;
        for (int k = 0; k < q_; ++k) greatest = std::max(greatest, hessian_[k][k]);
        for (int k = 0; k < q_; ++k) {
            next[k] = u[k];
            if ((u[k] <= problem.low(k) && slope_[k] > 0) || (u[k] >= problem.high(k) && slope_[k] < 0)) continue;
            open[count++] = k;
        }
        if (count == 0 || !(greatest > 0)) return out;
        // Cholesky
        double l[max_parameters][max_parameters], b[max_parameters];
        for (int i = 0; i < count; ++i) {
            b[i] = -slope_[open[i]];
            for (int j = 0; j <= i; ++j) {
                double sum = hessian_[open[i]][open[j]];
                if (i == j) sum += damping * (hessian_[open[i]][open[i]] + flat_share * greatest) + rounding * greatest;
                for (int k = 0; k < j; ++k) sum -= l[i][k] * l[j][k];
                if (i == j) {
                    if (!(sum > 0)) return out;
                    l[i][i] = std::sqrt(sum);
                } else {
                    l[i][j] = sum / l[j][j];
                }
            }
            for (int k = 0; k < i; ++k) b[i] -= l[i][k] * b[k];
            b[i] /= l[i][i];
        }
        double moved[max_parameters];
        for (int i = count - 1; i >= 0; --i) {
            double sum = b[i];
            for (int k = i + 1; k < count; ++k) sum -= l[k][i] * moved[k];
            moved[i] = sum / l[i][i];
        }
        for (int i = 0; i < count; ++i) {
            const int k = open[i];
            next[k] = std::clamp(u[k] + moved[i], problem.low(k), problem.high(k));
            out.bent = out.bent || next[k] != u[k] + moved[i];
        }
        for (int k = 0; k < q_; ++k) {
            double row = 0;
            for (int j = 0; j < q_; ++j) row += hessian_[k][j] * (next[j] - u[j]);
            out.gain -= (next[k] - u[k]) * (slope_[k] + 0.5 * row);
        }
        out.possible = true;
        return out;
    }

  private:
    // Relative to the greatest curvature: damping of a direction without any, and the effect of rounding on it.
    static constexpr double flat_share = 1e-6, rounding = 1e-14;

    int q_ = 0;
    double hessian_[max_parameters][max_parameters], slope_[max_parameters];
};

// How much shorter the next step is than the one that the model alone would take.
class Damping {
  public:
    operator double() const { return lambda_; }

    // After a step: ratio is the actual gain over the predicted one. The thresholds are Fletcher's, the factors this
    // project's.
    void follow(double ratio) { lambda_ = std::max(lambda_ * (ratio > 0.75 ? 0.1 : ratio < 0.25 ? 3 : 0.4), least); }

    // After a step without a gain: raise the damping, to more than `from`; false if the steps would become too short.
    bool raise(double from) {
        lambda_ = std::max(lambda_, from) * 8;
        return lambda_ <= greatest;
    }

    static constexpr double first = 1e-3, after_failure = 1e-4, after_bend = 1e-3;

  private:
    static constexpr double least = 1e-12, greatest = 1e12;
    double lambda_ = first;
};

// Whether two points certainly lie in the same valley.
inline bool beside(const double* a, const double* b, int count) {
    constexpr double near = 0.05;  // a twentieth of the parameter, where the search is logarithmic
    for (int k = 0; k < count; ++k)
        if (!(std::abs(a[k] - b[k]) < near)) return false;
    return true;
}

// known: a minimum that need not be found again, or null. Returns at_limit if the steps or evaluations are used up.
inline Ended levenberg_marquardt(Objective& objective, const double* start, int max_steps,
                                 const Point* known = nullptr) {
    constexpr double least_gain = 1e-8;  // share of the cost: if less is predicted, nothing is left to gain
    constexpr double small_gain = 1e-6;  // share of the cost: two such steps in succession are the last
    constexpr double optimistic = 10;    // times the predicted gain: the most that all further steps may gain
    Problem& problem = objective.problem();
    const int q = problem.searched();
    const double floor = problem.negligible();
    double u[max_parameters], next[max_parameters];
    for (int k = 0; k < q; ++k) u[k] = std::clamp(start[k], problem.low(k), problem.high(k));
    double cost = objective.cost_and_gradient(u);
    if (cost == infinity) return Ended::settled;
    QuadraticModel model;
    Damping damping;
    bool moved = true;
    int small = 0;
    for (int step = 0; step < max_steps; ++step) {
        if (objective.exhausted()) return Ended::at_limit;
        if (moved) model.take(problem);
        const QuadraticModel::Step to = model.step(problem, damping, u, next);
        if (!to.possible) return Ended::settled;
        if (to.gain <= least_gain * cost + floor) {
            // either nothing is left to gain, or the bounds bent the step so far that it gains nothing
            if (!to.bent || !damping.raise(Damping::after_bend)) return Ended::settled;
            moved = false;
            continue;
        }
        // a minimum worse than the known one is not worth its last steps
        if (known && cost - optimistic * to.gain > known->cost) return Ended::settled;
        const double tried = objective.cost_and_gradient(next);
        moved = tried < cost;
        if (!moved) {
            if (!damping.raise(Damping::after_failure)) return Ended::settled;
            continue;
        }
        small = cost - tried <= small_gain * cost ? small + 1 : 0;
        damping.follow((cost - tried) / to.gain);
        std::copy_n(next, q, u);
        cost = tried;
        if (small >= 2 || (known && cost >= known->cost && beside(u, known->u, q))) return Ended::settled;
    }
    return Ended::at_limit;
}

}  // namespace a4nn
