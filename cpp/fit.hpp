// Bounded least squares of a parametric function: linear parameters eliminated (variable projection), the others
// searched from a grid of starts, by a bracketed search if there is one and by Levenberg-Marquardt if there are more.
//
// Sources: Golub and Pereyra 1973 (variable projection); Kaufman 1975 (the Jacobian used here, which leaves out a
// term that vanishes with the residual; the gradient is exact); Levenberg 1944, Marquardt 1963.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "function.hpp"
#include "grid.hpp"
#include "linear.hpp"
#include "machine.hpp"
#include "status.hpp"

namespace a4nn {

enum class Loss { squares, huber, soft_l1 };

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

class Fitter {
  public:
    // weights: empty, or one a point, not negative.
    FitResult fit(const Function& function, std::span<const double> x, std::span<const double> y,
                  std::span<const double> weights = {}, const FitOptions& options = {}) {
        FitResult result;
        function_ = &function;
        options_ = options;
        evaluations_ = 0;
        m_ = static_cast<int>(function.separated().linear.size());
        q_ = static_cast<int>(function.separated().nonlinear.size());
        for (std::size_t i = 0; i < x.size(); ++i)
            if (!std::isfinite(x[i]) || !std::isfinite(y[i])) {
                result.status = Status::not_finite;
                return result;
            }
        if (x.empty() || x.size() < function.names().size()) {
            result.status = Status::too_few_points;
            return result;
        }
        if (!machine_.prepare(function.reduced(), x)) return result;
        x_ = x;
        weighted_ = !weights.empty();
        load(y, weights);
        best_.cost = infinity;
        search();
        if (best_.cost == infinity) {
            result.evaluations = evaluations_;
            return result;
        }
        if (options.loss != Loss::squares) reweight(y, weights);
        finish(result, x.size());
        return result;
    }

  private:
    static constexpr double infinity = std::numeric_limits<double>::infinity();
    struct Point {
        double cost = infinity;  // half the squared norm of the weighted residuals
        double u[max_parameters] = {};
    };

    const Range& range(int k) const {
        return function_
            ->ranges()[static_cast<std::size_t>(function_->separated().nonlinear[static_cast<std::size_t>(k)])];
    }

    void load(std::span<const double> y, std::span<const double> weights) {
        n_ = machine_.points();
        y_.assign(n_, 0.0);
        weight_.assign(n_, 0.0);
        std::copy(y.begin(), y.end(), y_.begin());
        for (std::size_t i = 0; i < y.size(); ++i) weight_[i] = weights.empty() ? 1.0 : std::sqrt(weights[i]);
        columns_.resize(static_cast<std::size_t>(m_) * n_);
        target_.resize(n_);
        work_.resize(n_);
        jacobian_.resize(static_cast<std::size_t>(q_) * n_);
        linear_.resize(m_, n_);
        for (int k = 0; k < q_; ++k) {
            low_[k] = range(k).search_lower();
            high_[k] = range(k).search_upper();
        }
        weigh_fixed();
        // the sum of squares about which a cost counts as nothing
        floor_ = 1e-24 * (1.0 + dot(y_.data(), y_.data(), n_));
    }

    // What no searched parameter changes, once for all evaluations.
    void weigh_fixed() {
        const Program& program = function_->reduced();
        fixed_target_ = !machine_.depends_at_all(program.root(0));
        if (fixed_target_) weigh_target(program.root(0));
        for (int j = 0; j < m_; ++j) {
            const int step = program.root(static_cast<std::size_t>(j) + 1);
            fixed_[j] = !machine_.depends_at_all(step);
            if (fixed_[j]) weigh(step, column(j));
        }
    }

    double* column(int j) { return columns_.data() + static_cast<std::size_t>(j) * n_; }
    double* jacobian(int k) { return jacobian_.data() + static_cast<std::size_t>(k) * n_; }

    bool exhausted() const { return evaluations_ >= options_.max_evaluations; }

    // The cost at u with the best linear coefficients; with derivatives also its gradient.
    double evaluate(const double* u, bool derivatives) {
        ++evaluations_;
        double theta[max_parameters];
        for (int k = 0; k < q_; ++k) theta[k] = range(k).from_search(u[k]);
        machine_.evaluate(theta, derivatives);
        const Program& program = function_->reduced();
        const auto& linear = function_->separated().linear;
        if (!fixed_target_) weigh_target(program.root(0));
        for (int j = 0; j < m_; ++j) {
            if (!fixed_[j]) weigh(program.root(static_cast<std::size_t>(j) + 1), column(j));
            const Range& bounds =
                function_->ranges()[static_cast<std::size_t>(linear[static_cast<std::size_t>(j)].parameter)];
            lower_[j] = bounds.lower;
            upper_[j] = bounds.upper;
            if (linear[static_cast<std::size_t>(j)].rate >= 0) {
                const double rate = machine_.number(program.root(static_cast<std::size_t>(m_ + j) + 1));
                if (!std::isfinite(rate)) return infinity;  // the logarithm of a base that has none
                lower_[j] = amplitude(rate, rate > 0 ? bounds.lower : bounds.upper);
                upper_[j] = amplitude(rate, rate > 0 ? bounds.upper : bounds.lower);
            }
        }
        double square;
        if (m_ > 0) square = linear_.solve(columns_.data(), target_.data(), lower_, upper_);
        else square = dot(target_.data(), target_.data(), n_);
        if (!std::isfinite(square)) return infinity;
        const double cost = 0.5 * square;
        if (cost < best_.cost) {
            best_.cost = cost;
            std::copy_n(u, q_, best_.u);
        }
        if (derivatives) differentiate(theta);
        return cost;
    }

    // exp(rate * bound), most often 1 or infinity
    static double amplitude(double rate, double bound) {
        const double power = rate == 0 ? 0.0 : rate * bound;
        if (power == 0) return 1;
        return std::isinf(power) ? (power > 0 ? infinity : 0.0) : exp_one(power);
    }

    void weigh(int step, double* out) const {
        if (machine_.is_vector(step)) {
            const double* values = machine_.values(step);
            for (std::size_t i = 0; i < n_; ++i) out[i] = weight_[i] * values[i];
        } else {
            const double value = machine_.number(step);
            for (std::size_t i = 0; i < n_; ++i) out[i] = weight_[i] * value;
        }
    }

    void weigh_target(int offset) {
        if (offset < 0) {
            for (std::size_t i = 0; i < n_; ++i) target_[i] = weight_[i] * y_[i];
            return;
        }
        weigh(offset, target_.data());
        for (std::size_t i = 0; i < n_; ++i) target_[i] = weight_[i] * y_[i] - target_[i];
    }

    // out += factor * weight * d step / d theta_k
    void add_derivative(int step, int k, double factor, double* out) const {
        if (step < 0 || !machine_.depends(step, k)) return;
        if (machine_.is_vector(step)) {
            const double* d = machine_.derivatives(step, k);
            for (std::size_t i = 0; i < n_; ++i) out[i] += factor * weight_[i] * d[i];
        } else {
            const double d = factor * machine_.number_derivative(step, k);
            for (std::size_t i = 0; i < n_; ++i) out[i] += d * weight_[i];
        }
    }

    const double* residual() const { return m_ > 0 ? linear_.residual() : target_.data(); }

    void differentiate(const double* theta) {
        const Program& program = function_->reduced();
        const auto& linear = function_->separated().linear;
        for (int k = 0; k < q_; ++k) {
            double* v = jacobian(k);
            std::fill_n(v, n_, 0.0);
            add_derivative(program.root(0), k, 1.0, v);
            for (int j = 0; j < m_; ++j) {
                const double c = linear_.coefficient[j];
                add_derivative(program.root(static_cast<std::size_t>(j) + 1), k, c, v);
                const int rate = program.root(static_cast<std::size_t>(m_ + j) + 1);
                if (linear_.free[j] || rate < 0 || !machine_.depends(rate, k)) continue;
                // a coefficient held by a bound that moves with theta: P = exp(rate * bound)
                const Range& bounds =
                    function_->ranges()[static_cast<std::size_t>(linear[static_cast<std::size_t>(j)].parameter)];
                const double bound = (c == lower_[j]) == (machine_.number(rate) > 0) ? bounds.lower : bounds.upper;
                if (!std::isfinite(bound)) continue;
                const double slope = c * bound * machine_.number_derivative(rate, k);
                subtract(v, -slope, column(j), n_);
            }
            const double scale = range(k).slope(theta[k]);
            for (std::size_t i = 0; i < n_; ++i) v[i] *= -scale;
            gradient_[k] = dot(v, residual(), n_);
        }
    }

    // Kaufman's Jacobian at the point differentiated last, times its transpose.
    void approximate_hessian(double (*hessian)[max_parameters]) {
        for (int k = 0; k < q_; ++k) {
            if (m_ > 0) linear_.project_out(jacobian(k));
            for (int l = 0; l <= k; ++l) hessian[k][l] = hessian[l][k] = dot(jacobian(k), jacobian(l), n_);
        }
    }

    void search() {
        if (q_ == 0) {
            evaluate(best_.u, false);
            limit_reached_ = false;
        } else if (q_ == 1) {
            search_line();
        } else {
            search_space();
        }
        limit_reached_ = limit_reached_ || exhausted();
    }

    // One searched parameter: every local minimum that the grid shows, best first, is bracketed and refined.
    void search_line() {
        if (!keeps_grid(range(0).starts.size() + 2)) {
            starts_of_line();
            costs_.resize(grid_.size());
            for (std::size_t i = 0; i < grid_.size(); ++i)
                costs_[i] = exhausted() ? infinity : evaluate(&grid_[i], false);
        } else {
            costs_from_cache();
        }
        const std::size_t count = grid_.size();
        order_.clear();
        for (std::size_t i = 0; i < count; ++i)
            if (costs_[i] < infinity && (i == 0 || costs_[i] <= costs_[i - 1]) &&
                (i + 1 == count || costs_[i] < costs_[i + 1]))
                order_.push_back(i);
        std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return costs_[a] < costs_[b]; });
        if (order_.size() > 3) order_.resize(3);
        limit_reached_ = false;
        if (exhausted() && !order_.empty()) evaluate(&grid_[order_[0]], false);
        for (std::size_t i : order_) {
            const bool end = i == 0 || i + 1 == count || costs_[i - 1] == infinity || costs_[i + 1] == infinity;
            refine_line(grid_[i > 0 ? i - 1 : i], end ? grid_[i] : lowest_of_parabola(i),
                        grid_[i + 1 < count ? i + 1 : i]);
        }
    }

    void starts_of_line() {
        grid_.clear();
        if (std::isfinite(low_[0])) grid_.push_back(low_[0]);
        for (double start : range(0).starts) {
            const double u = range(0).to_search(start);
            if (u > low_[0] && u < high_[0]) grid_.push_back(u);
        }
        if (std::isfinite(high_[0])) grid_.push_back(high_[0]);
        std::sort(grid_.begin(), grid_.end());
    }

    void costs_from_cache() {
        bool fresh = false;
        auto& grid = cache_.at(function_->id(), x_, fresh);
        if (fresh) {
            starts_of_line();
            for (double u : grid_) grid.points.push_back(factored(&u));
        }
        grid_.resize(grid.points.size());
        costs_.resize(grid.points.size());
        const double y_square = dot(y_.data(), y_.data(), n_);
        for (std::size_t i = 0; i < grid_.size(); ++i) {
            grid_[i] = grid.points[i].u[0];
            costs_[i] = infinity;
            if (exhausted()) continue;
            costs_[i] = grid.points[i].cost(y_.data(), y_square, n_, m_, work_.data());
            ++evaluations_;
        }
    }

    // Whether a linear parameter has a bound.
    bool bounded() const {
        return std::ranges::any_of(function_->separated().linear, [&](const Linear& linear) {
            const Range& bounds = function_->ranges()[static_cast<std::size_t>(linear.parameter)];
            return linear.rate >= 0 || std::isfinite(bounds.lower) || std::isfinite(bounds.upper);
        });
    }

    bool keeps_grid(std::size_t count) const {
        return !weighted_ && (m_ <= GridPoint::max_bounded || !bounded()) &&
               count * static_cast<std::size_t>(m_ + 1) * n_ <= GridCache::largest;
    }

    // The least squares problem at u, ready for any curve on these points.
    GridPoint factored(const double* u) {
        GridPoint point;
        std::copy_n(u, q_, point.u.begin());
        // whether there is a value must not depend on the curve at hand, nor does the work belong to it: a target so
        // great that nothing beside it is lost in rounding
        const Point best = best_;
        std::vector<double> great(n_, 1e30);
        y_.swap(great);
        weigh_fixed();
        point.defined = evaluate(u, false) < infinity;
        y_.swap(great);
        weigh_fixed();
        --evaluations_;
        best_ = best;
        if (!point.defined) return point;
        const int offset = function_->reduced().root(0);
        if (offset >= 0) {
            point.offset.resize(n_);
            weigh(offset, point.offset.data());
        }
        linear_.solve_free(columns_.data(), target_.data());
        point.basis.assign(linear_.basis(), linear_.basis() + static_cast<std::size_t>(m_) * n_);
        point.bounded = bounded();
        for (int j = 0; j < m_; ++j)
            if (linear_.dead(j))
                std::fill_n(point.basis.begin() + static_cast<std::ptrdiff_t>(j) * static_cast<std::ptrdiff_t>(n_), n_,
                            0.0);
        if (!point.bounded) return point;
        std::copy_n(lower_, m_, point.lower.begin());
        std::copy_n(upper_, m_, point.upper.begin());
        point.r00 = m_ > 0 ? linear_.triangle(0, 0) : 1;
        point.r01 = m_ > 1 ? linear_.triangle(0, 1) : 0;
        point.r11 = m_ > 1 ? linear_.triangle(1, 1) : 1;
        return point;
    }

    // The lowest point of the parabola through a start and its neighbours, if it lies well between them.
    double lowest_of_parabola(std::size_t i) const {
        const double a = grid_[i] - grid_[i - 1], b = grid_[i + 1] - grid_[i];
        const double left = (costs_[i - 1] - costs_[i]) / a, right = (costs_[i + 1] - costs_[i]) / b;
        if (!(left + right > 0)) return grid_[i];
        const double moved = grid_[i] + 0.5 * (left * b - right * a) / (left + right);
        return std::clamp(moved, grid_[i] - 0.9 * a, grid_[i] + 0.9 * b);
    }

    // The minimum between left and right, from a point between them that is below both. Secant steps on the exact
    // derivative, kept inside the bracket.
    void refine_line(double left, double u, double right) {
        double last_u = u, last_slope = 0, width = right - left;
        for (int step = 0; step < 40; ++step) {
            if (exhausted()) {
                limit_reached_ = true;
                return;
            }
            const double cost = evaluate(&u, true);
            const double slope = gradient_[0];
            if (cost == infinity || !std::isfinite(slope)) {  // no value here: go back towards the known side
                u = 0.5 * (u + (u > last_u ? left : right));
                if (right - left < 1e-9 * (1 + std::abs(u))) return;
                continue;
            }
            if (slope > 0) right = u;
            else left = u;
            double curvature = step == 0 ? 0 : (slope - last_slope) / (u - last_u);
            if (!(curvature > 0)) {
                double hessian[max_parameters][max_parameters];
                approximate_hessian(hessian);
                curvature = hessian[0][0];
            }
            double next = u - slope / curvature;
            const bool inside = next > left && next < right;
            if (!inside) next = 0.5 * (left + right);
            // what the step can still gain, against what is there
            const double gain = std::abs(slope * (next - u));
            if (right - left <= 1e-9 * (width + std::abs(u))) return;
            if (gain <= 1e-6 * cost + floor_) {
                // so near the minimum the last step needs no check
                if (inside && best_.u[0] == u) best_.u[0] = next;
                return;
            }
            last_u = u;
            last_slope = slope;
            u = next;
        }
    }

    // Several searched parameters: the grid of all starts, then Levenberg-Marquardt from its lowest local minima.
    void search_space() {
        std::size_t total = 1, stride[max_parameters];
        for (int k = 0; k < q_; ++k) {
            stride[k] = total;
            total *= range(k).starts.size();
        }
        costs_from_grid(total);
        order_.clear();
        for (std::size_t i = 0; i < total; ++i) {
            if (!(costs_[i] < infinity)) continue;
            bool lowest = true;
            for (int k = 0; k < q_ && lowest; ++k) {
                const std::size_t count = range(k).starts.size(), at = i / stride[k] % count;
                lowest = (at == 0 || costs_[i] <= costs_[i - stride[k]]) &&
                         (at + 1 == count || costs_[i] < costs_[i + stride[k]]);
            }
            if (lowest) order_.push_back(i);
        }
        std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return costs_[a] < costs_[b]; });
        if (order_.size() > max_starts) order_.resize(max_starts);
        limit_reached_ = false;
        double u[max_parameters];
        if (exhausted() && !order_.empty()) evaluate(start(order_[0], u), false);
        bool known = false;
        for (std::size_t i : order_) {
            if (exhausted()) break;
            const Point best = best_;
            levenberg_marquardt(start(i, u), max_steps, known ? &best : nullptr);
            known = best_.cost < infinity;
        }
        // a long curved valley: only the best of the starts is worth following to its end
        if (limit_reached_ && !exhausted() && best_.cost < infinity) {
            limit_reached_ = false;
            const Point best = best_;
            levenberg_marquardt(best.u, 10 * max_steps);
        }
    }

    // The i-th point of the grid of all starts.
    const double* start(std::size_t i, double* u) const {
        for (int k = 0; k < q_; ++k) {
            const auto& starts = range(k).starts;
            u[k] = range(k).to_search(starts[i % starts.size()]);
            i /= starts.size();
        }
        return u;
    }

    void costs_from_grid(std::size_t total) {
        costs_.assign(total, infinity);
        double u[max_parameters];
        if (!keeps_grid(total)) {
            for (std::size_t i = 0; i < total && !exhausted(); ++i) costs_[i] = evaluate(start(i, u), false);
            return;
        }
        bool fresh = false;
        auto& grid = cache_.at(function_->id(), x_, fresh);
        if (fresh)
            for (std::size_t i = 0; i < total; ++i) grid.points.push_back(factored(start(i, u)));
        const double y_square = dot(y_.data(), y_.data(), n_);
        for (std::size_t i = 0; i < total && !exhausted(); ++i) {
            costs_[i] = grid.points[i].cost(y_.data(), y_square, n_, m_, work_.data());
            ++evaluations_;
        }
    }

    static constexpr int max_starts = 3, max_steps = 40;

    // Whether two points lie in one valley for certain: within a twentieth (of the parameter, where it is searched on
    // a logarithmic scale).
    bool beside(const double* a, const double* b) const {
        for (int k = 0; k < q_; ++k)
            if (!(std::abs(a[k] - b[k]) < 0.05)) return false;
        return true;
    }

    // known: a minimum that need not be found again.
    void levenberg_marquardt(const double* start, int steps, const Point* known = nullptr) {
        double u[max_parameters], next[max_parameters], hessian[max_parameters][max_parameters], slope[max_parameters];
        for (int k = 0; k < q_; ++k) u[k] = std::clamp(start[k], low_[k], high_[k]);
        double cost = evaluate(u, true);
        if (cost == infinity) return;
        double lambda = 1e-3;
        bool fresh = true;
        int small = 0;
        for (int step = 0; step < steps; ++step) {
            if (exhausted()) {
                limit_reached_ = true;
                return;
            }
            if (fresh) {
                std::copy_n(gradient_, q_, slope);
                approximate_hessian(hessian);
            }
            double gain = 0;
            bool bent = false;
            if (!damped_step(hessian, slope, lambda, u, next, gain, bent)) return;
            if (gain <= 1e-8 * cost + floor_) {
                // either nothing is left to gain, or the bounds bent the step so far that it gains nothing
                if (!bent) return;
                lambda = std::max(lambda, 1e-3) * 8;
                fresh = false;
                if (lambda > 1e12) return;
                continue;
            }
            // a minimum worse than the known one is not worth its last steps
            if (known && cost - 10 * gain > known->cost) return;
            const double tried = evaluate(next, true);
            if (tried < cost) {
                small = cost - tried <= 1e-6 * cost ? small + 1 : 0;
                const double ratio = (cost - tried) / gain;
                std::copy_n(next, q_, u);
                cost = tried;
                lambda = ratio > 0.75 ? lambda * 0.1 : ratio < 0.25 ? lambda * 3 : lambda * 0.4;
                lambda = std::max(lambda, 1e-12);
                fresh = true;
                if (small >= 2 || (known && cost >= known->cost && beside(u, known->u))) return;
            } else {
                lambda = std::max(lambda, 1e-4) * 8;
                fresh = false;
                if (lambda > 1e12) return;
            }
        }
        limit_reached_ = true;
    }

    // Solve (H + lambda diag H) step = -slope over the parameters that are not pressed against a bound.
    bool damped_step(const double (*hessian)[max_parameters], const double* slope, double lambda, const double* u,
                     double* next, double& gain, bool& bent) const {
        int open[max_parameters], count = 0;
        double trace = 0;
        for (int k = 0; k < q_; ++k) trace = std::max(trace, hessian[k][k]);
        for (int k = 0; k < q_; ++k) {
            next[k] = u[k];
            if ((u[k] <= low_[k] && slope[k] > 0) || (u[k] >= high_[k] && slope[k] < 0)) continue;
            open[count++] = k;
        }
        if (count == 0 || !(trace > 0)) return false;
        double l[max_parameters][max_parameters], b[max_parameters];
        for (int i = 0; i < count; ++i) {
            b[i] = -slope[open[i]];
            for (int j = 0; j <= i; ++j) {
                double sum = hessian[open[i]][open[j]];
                if (i == j) sum += lambda * (hessian[open[i]][open[i]] + 1e-6 * trace) + 1e-14 * trace;
                for (int k = 0; k < j; ++k) sum -= l[i][k] * l[j][k];
                if (i == j) {
                    if (!(sum > 0)) return false;
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
            next[k] = std::clamp(u[k] + moved[i], low_[k], high_[k]);
            bent = bent || next[k] != u[k] + moved[i];
        }
        // the gain that the quadratic model foresees for the step as clamped
        gain = 0;
        for (int k = 0; k < q_; ++k) {
            double row = 0;
            for (int j = 0; j < q_; ++j) row += hessian[k][j] * (next[j] - u[j]);
            gain -= (next[k] - u[k]) * (slope[k] + 0.5 * row);
        }
        return true;
    }

    // Robust losses by iteratively reweighted least squares from the least squares fit: the weight of a residual r is
    // rho'(r^2 / s^2), as scipy.optimize.least_squares defines rho.
    void reweight(std::span<const double> y, std::span<const double> weights) {
        std::vector<double> base(y.size());
        for (std::size_t i = 0; i < y.size(); ++i) base[i] = weights.empty() ? 1.0 : weights[i];
        double last = infinity;
        for (int round = 0; round < 100; ++round) {
            if (exhausted()) {
                limit_reached_ = true;
                return;
            }
            const Point here = best_;
            evaluate(here.u, false);
            double loss = 0;
            std::vector<double> residuals(y.size());
            for (std::size_t i = 0; i < y.size(); ++i) {
                const double r = weight_[i] > 0 ? residual()[i] / weight_[i] : 0.0;
                const double z = base[i] * r * r / (options_.scale * options_.scale);
                const double root = std::sqrt(1 + z);
                loss += options_.loss == Loss::huber ? (z <= 1 ? z : 2 * std::sqrt(z) - 1) : 2 * (root - 1);
                const double slope = options_.loss == Loss::huber ? (z <= 1 ? 1 : 1 / std::sqrt(z)) : 1 / root;
                residuals[i] = slope;
            }
            if (std::abs(last - loss) <= 1e-9 * (loss + 1e-12) || exhausted()) return;
            last = loss;
            for (std::size_t i = 0; i < y.size(); ++i) weight_[i] = std::sqrt(base[i] * residuals[i]);
            weigh_fixed();
            best_.cost = infinity;
            if (q_ == 0) evaluate(here.u, false);
            else levenberg_marquardt(here.u, 10);
            if (best_.cost == infinity) {
                best_ = here;
                return;
            }
        }
        limit_reached_ = true;
    }

    void finish(FitResult& result, std::size_t points) {
        const Point best = best_;
        evaluate(best.u, false);
        const auto& separated = function_->separated();
        bool held = false;
        for (int k = 0; k < q_; ++k) {
            const double p = range(k).from_search(best.u[k]);
            result.parameters[separated.nonlinear[static_cast<std::size_t>(k)]] = p;
            const double near = 1e-6 * (1 + std::abs(best.u[k]));
            held = held || best.u[k] <= low_[k] + near || best.u[k] >= high_[k] - near;
        }
        for (int j = 0; j < m_; ++j) {
            const Linear& linear = separated.linear[static_cast<std::size_t>(j)];
            const Range& bounds = function_->ranges()[static_cast<std::size_t>(linear.parameter)];
            double p = linear_.coefficient[j];
            if (linear.rate >= 0) {
                const double rate = machine_.number(function_->reduced().root(static_cast<std::size_t>(m_ + j) + 1));
                p = rate == 0 ? 0.0 : log_one(std::max(p, std::numeric_limits<double>::min())) / rate;
                p = std::clamp(p, bounds.lower, bounds.upper);
            }
            result.parameters[linear.parameter] = p;
            held = held || !linear_.free[j];
        }
        double square = 0, total = 0;
        for (std::size_t i = 0; i < points; ++i)
            if (weight_[i] > 0) {
                const double r = residual()[i] / weight_[i];
                square += r * r;
                total += 1;
            }
        result.rms = std::sqrt(square / std::max(total, 1.0));
        result.evaluations = evaluations_;
        result.status = limit_reached_ ? Status::evaluation_limit : held ? Status::at_bound : Status::converged;
    }

    const Function* function_ = nullptr;
    FitOptions options_;
    Machine machine_;
    LinearSolver linear_;
    int m_ = 0, q_ = 0, evaluations_ = 0;
    bool limit_reached_ = false, fixed_target_ = false, fixed_[max_parameters] = {};
    std::size_t n_ = 0;
    std::span<const double> x_;
    bool weighted_ = false;
    GridCache cache_;
    double low_[max_parameters] = {}, high_[max_parameters] = {}, lower_[max_parameters] = {},
           upper_[max_parameters] = {};
    double gradient_[max_parameters] = {}, floor_ = 0;
    std::vector<double> y_, weight_, target_, work_, columns_, jacobian_, grid_, costs_;
    std::vector<std::size_t> order_;
    Point best_;
};

}  // namespace a4nn
