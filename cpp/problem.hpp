// The separated least squares problem of one curve: for every value of the searched parameters the linear ones are
// solved for, so that a cost and its gradient are functions of the searched ones alone (variable projection).
//
// Sources: Golub and Pereyra 1973 (variable projection); Kaufman 1975 (the Jacobian used here, which leaves out a
// term that vanishes with the residual; the gradient is exact).
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

namespace a4nn {

// Searched parameters are arrays u of `searched()` numbers in the coordinates of the search (`Range::to_search`).
class Problem {
  public:
    // Set a function and a curve; false if a part that depends on the epoch alone has no finite value at a point.
    // weights: empty, or one per point, not negative. The function and x must outlive the problem's use.
    bool set(const Function& function, std::span<const double> x, std::span<const double> y,
             std::span<const double> weights) {
        function_ = &function;
        x_ = x;
        m_ = static_cast<int>(function.separated().linear.size());
        q_ = static_cast<int>(function.separated().nonlinear.size());
        if (!machine_.prepare(function.reduced(), x)) return false;
        n_ = machine_.points();
        y_.assign(n_, 0.0);
        std::copy(y.begin(), y.end(), y_.begin());
        y_square_ = dot(y_.data(), y_.data(), n_);
        weight_.assign(n_, 0.0);
        uniform_ = weights.empty();
        columns_.resize(static_cast<std::size_t>(m_) * n_);
        target_.resize(n_);
        work_.resize(n_);
        jacobian_.resize(static_cast<std::size_t>(q_) * n_);
        linear_.resize(m_, n_);
        bounded_ = false;
        for (int k = 0; k < q_; ++k) {
            low_[k] = range(k).search_lower();
            high_[k] = range(k).search_upper();
        }
        for (int j = 0; j < m_; ++j) {
            lower_[j] = bounds(j).lower;
            upper_[j] = bounds(j).upper;
            bounded_ = bounded_ || has_rate(j) || std::isfinite(lower_[j]) || std::isfinite(upper_[j]);
        }
        weigh([&](std::size_t i) { return uniform_ ? 1.0 : weights[i]; });
        return true;
    }

    // New weights of the squared residuals: weight(i) of point i.
    template <class Weight>
    void weigh(Weight weight) {
        for (std::size_t i = 0; i < x_.size(); ++i) weight_[i] = std::sqrt(weight(i));
        // what does not depend on a searched parameter is computed once for all evaluations
        fixed_target_ = !machine_.depends_at_all(offset());
        if (fixed_target_) aim(y_.data(), target_.data());
        for (int j = 0; j < m_; ++j) {
            fixed_[j] = !machine_.depends_at_all(column_step(j));
            if (fixed_[j]) weighted(column_step(j), column(j));
        }
    }

    const Function& function() const { return *function_; }
    std::span<const double> x() const { return x_; }
    int searched() const { return q_; }
    const Range& range(int k) const { return function_->range(function_->separated().nonlinear[index(k)]); }

    // The limits of the search for a parameter.
    double low(int k) const { return low_[k]; }
    double high(int k) const { return high_[k]; }

    // A cost that is negligible compared with the values.
    double negligible() const { return rounding * (1.0 + y_square_); }

    // Half the squared norm of the weighted residuals with the best linear parameters; infinity where the function
    // has no value.
    double cost(const double* u) { return evaluate(u, false); }

    // The same, and `gradient` and `approximate_hessian` at u for as long as nothing else is evaluated.
    double cost_and_gradient(const double* u) {
        const double cost = evaluate(u, true);
        if (cost < infinity) differentiate();
        return cost;
    }

    const double* gradient() const { return gradient_; }

    // The transpose of Kaufman's Jacobian times the Jacobian. Only once per point: it is projected in place.
    void approximate_hessian(double (*hessian)[max_parameters]) {
        for (int k = 0; k < q_; ++k) {
            if (m_ > 0) linear_.project_out(jacobian(k));
            for (int l = 0; l <= k; ++l) hessian[k][l] = hessian[l][k] = dot(jacobian(k), jacobian(l), n_);
        }
    }

    // Value minus function at the parameters evaluated last; 0 at a point without weight.
    double residual(std::size_t i) const { return weight_[i] > 0 ? residuals()[i] / weight_[i] : 0.0; }

    // Root mean square of the residuals at points whose weight is not zero.
    double rms() const {
        double square = 0, count = 0;
        for (std::size_t i = 0; i < x_.size(); ++i)
            if (weight_[i] > 0) {
                const double r = residual(i);
                square += r * r;
                count += 1;
            }
        return std::sqrt(square / std::max(count, 1.0));
    }

    // The declared parameters at u, which must be the point evaluated last; whether one of them lies on a bound.
    bool parameters(const double* u, double* out) const {
        bool held = false;
        for (int k = 0; k < q_; ++k) {
            out[function_->separated().nonlinear[index(k)]] = range(k).from_search(u[k]);
            const double near = at_bound * (1 + std::abs(u[k]));
            held = held || u[k] <= low_[k] + near || u[k] >= high_[k] - near;
        }
        for (int j = 0; j < m_; ++j) {
            double p = linear_.coefficient[j];
            if (has_rate(j)) {
                const double rate = machine_.number(rate_step(j));
                p = rate == 0 ? 0.0 : log_one(std::max(p, std::numeric_limits<double>::min())) / rate;
                p = std::clamp(p, bounds(j).lower, bounds(j).upper);
            }
            out[separated(j).parameter] = p;
            held = held || !linear_.free[j];
        }
        return held;
    }

    // Whether a grid of so many points can serve other curves on these epochs.
    bool keeps_grid(std::size_t count) const {
        return uniform_ && (m_ <= GridPoint::max_bounded || !bounded_) &&
               count * (index(m_) + 1) * n_ <= GridCache::largest;
    }

    // The problem at u without its values, ready for any curve on these points; for weights of one.
    GridPoint factored(const double* u) {
        GridPoint point;
        std::copy_n(u, q_, point.u.begin());
        if (!place(u, false)) return point;
        // whether there is a value must not depend on the current curve
        const std::vector<double> great(n_, great_value);
        std::vector<double> target(n_);
        aim(great.data(), target.data());
        point.defined = std::isfinite(solve(target.data()));
        if (!point.defined) return point;
        if (offset() >= 0) {
            point.offset.resize(n_);
            weighted(offset(), point.offset.data());
        }
        linear_.decompose(columns_.data());
        point.basis.assign(linear_.basis(), linear_.basis() + index(m_) * n_);
        point.bounded = bounded_;
        for (int j = 0; j < m_; ++j)
            if (linear_.dead(j)) std::fill_n(point.basis.data() + index(j) * n_, n_, 0.0);
        if (!point.bounded) return point;
        std::copy_n(lower_, m_, point.lower.begin());
        std::copy_n(upper_, m_, point.upper.begin());
        point.r00 = m_ > 0 ? linear_.triangle(0, 0) : 1;
        point.r01 = m_ > 1 ? linear_.triangle(0, 1) : 0;
        point.r11 = m_ > 1 ? linear_.triangle(1, 1) : 1;
        return point;
    }

    // The cost at a point that `factored` made on these epochs.
    double cost(const GridPoint& point) { return point.cost(y_.data(), y_square_, n_, m_, work_.data()); }

  private:
    // Costs below this share of the squared values are rounding: residuals of 1e-12 of a value.
    static constexpr double rounding = 1e-24;
    // A searched parameter this near to a limit, relative to its size, counts as on it.
    static constexpr double at_bound = 1e-6;
    // Values so great that no column held at a bound swamps them (`LinearSolver::solve`).
    static constexpr double great_value = 1e30;

    static std::size_t index(int i) { return static_cast<std::size_t>(i); }

    // The nodes of the separated form (`Function::reduced`), -1 where there is none.
    int offset() const { return function_->reduced().root(0); }
    int column_step(int j) const { return function_->reduced().root(index(j) + 1); }
    int rate_step(int j) const { return function_->reduced().root(index(m_ + j) + 1); }

    const Linear& separated(int j) const { return function_->separated().linear[index(j)]; }
    const Range& bounds(int j) const { return function_->range(separated(j).parameter); }
    bool has_rate(int j) const { return separated(j).rate >= 0; }

    double* column(int j) { return columns_.data() + index(j) * n_; }
    double* jacobian(int k) { return jacobian_.data() + index(k) * n_; }
    const double* residuals() const { return m_ > 0 ? linear_.residual() : target_.data(); }

    double evaluate(const double* u, bool derivatives) {
        if (!place(u, derivatives)) return infinity;
        if (!fixed_target_) aim(y_.data(), target_.data());
        const double square = solve(target_.data());
        return std::isfinite(square) ? 0.5 * square : infinity;
    }

    // Columns, and the bounds of their coefficients, at u; false where a bound has no value.
    bool place(const double* u, bool derivatives) {
        for (int k = 0; k < q_; ++k) theta_[k] = range(k).from_search(u[k]);
        machine_.evaluate(theta_, derivatives);
        for (int j = 0; j < m_; ++j) {
            if (!fixed_[j]) weighted(column_step(j), column(j));
            if (!has_rate(j)) continue;
            const double rate = machine_.number(rate_step(j));
            if (!std::isfinite(rate)) return false;  // the logarithm of a base that has none
            lower_[j] = amplitude(rate, rate > 0 ? bounds(j).lower : bounds(j).upper);
            upper_[j] = amplitude(rate, rate > 0 ? bounds(j).upper : bounds(j).lower);
        }
        return true;
    }

    // exp(rate * bound), most often 1 or infinity
    static double amplitude(double rate, double bound) {
        const double power = rate == 0 ? 0.0 : rate * bound;
        if (power == 0) return 1;
        return std::isinf(power) ? (power > 0 ? infinity : 0.0) : exp_one(power);
    }

    // The squared norm of the residual of a target after projection on the columns.
    double solve(const double* target) {
        return m_ > 0 ? linear_.solve(columns_.data(), target, lower_, upper_) : dot(target, target, n_);
    }

    // What the columns are to be fitted to: weight * (y - offset).
    void aim(const double* y, double* out) const {
        if (offset() < 0) {
            for (std::size_t i = 0; i < n_; ++i) out[i] = weight_[i] * y[i];
            return;
        }
        weighted(offset(), out);
        for (std::size_t i = 0; i < n_; ++i) out[i] = weight_[i] * y[i] - out[i];
    }

    // out = weight * step
    void weighted(int step, double* out) const {
        if (machine_.is_vector(step)) {
            const double* values = machine_.values(step);
            for (std::size_t i = 0; i < n_; ++i) out[i] = weight_[i] * values[i];
        } else {
            const double value = machine_.number(step);
            for (std::size_t i = 0; i < n_; ++i) out[i] = weight_[i] * value;
        }
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

    // Derivatives of the weighted residuals with the coefficients held, and the gradient.
    void differentiate() {
        for (int k = 0; k < q_; ++k) {
            double* v = jacobian(k);
            std::fill_n(v, n_, 0.0);
            add_derivative(offset(), k, 1.0, v);
            for (int j = 0; j < m_; ++j) {
                const double c = linear_.coefficient[j];
                add_derivative(column_step(j), k, c, v);
                const int rate = rate_step(j);
                if (linear_.free[j] || rate < 0 || !machine_.depends(rate, k)) continue;
                // a coefficient held by a bound that moves with theta: P = exp(rate * bound)
                const bool at_lower = (c == lower_[j]) == (machine_.number(rate) > 0);
                const double bound = at_lower ? bounds(j).lower : bounds(j).upper;
                if (!std::isfinite(bound)) continue;
                const double slope = c * bound * machine_.number_derivative(rate, k);
                subtract(v, -slope, column(j), n_);
            }
            const double scale = range(k).slope(theta_[k]);
            for (std::size_t i = 0; i < n_; ++i) v[i] *= -scale;
            gradient_[k] = dot(v, residuals(), n_);
        }
    }

    const Function* function_ = nullptr;
    std::span<const double> x_;
    Machine machine_;
    LinearSolver linear_;
    int m_ = 0, q_ = 0;    // linear and searched parameters
    std::size_t n_ = 0;    // points, padded
    double y_square_ = 0;  // the squared norm of the values
    bool uniform_ = true, bounded_ = false, fixed_target_ = false, fixed_[max_parameters] = {};
    double low_[max_parameters] = {}, high_[max_parameters] = {};     // of the searched parameters
    double lower_[max_parameters] = {}, upper_[max_parameters] = {};  // of the linear coefficients
    double theta_[max_parameters] = {}, gradient_[max_parameters] = {};
    std::vector<double> y_, weight_, target_, work_, columns_, jacobian_;  // weight_: the square roots
};

}  // namespace a4nn
