// Least squares of a few columns with bounds on the coefficients, and the projection that variable projection needs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "graph.hpp"

namespace a4nn {

[[gnu::always_inline]] inline double dot(const double* a, const double* b, std::size_t n) {
    double sums[lanes] = {};  // as many as fit into a vector register
    for (std::size_t i = 0; i < n; i += 8)
        for (std::size_t l = 0; l < lanes; ++l) sums[l] += a[i + l] * b[i + l];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

inline void subtract(double* a, double factor, const double* b, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) a[i] -= factor * b[i];
}

// The minimum of |r c - z|^2 over lower <= c <= upper for an upper triangular r of two rows.
struct BoundedPair {
    double c[2];
    double more = 0;  // the minimum: by how much the bounds increase the squared norm

    BoundedPair(double r00, double r01, double r11, double z0, double z1, const double* lower, const double* upper) {
        c[1] = z1 / r11;
        c[0] = (z0 - r01 * c[1]) / r00;
        const bool inside0 = c[0] >= lower[0] && c[0] <= upper[0], inside1 = c[1] >= lower[1] && c[1] <= upper[1];
        if (inside0 && inside1) return;
        // the optimum lies on a bound that the free one violates
        const double free0 = c[0], free1 = c[1];
        more = infinity;
        // where every square overflows, none of them is the least
        for (int j = 0; j < 2; ++j) c[j] = std::clamp(c[j], lower[j], upper[j]);
        const auto keep = [&](double c0, double c1) {
            const double left0 = z0 - r00 * c0 - r01 * c1, left1 = z1 - r11 * c1;
            const double square = left0 * left0 + left1 * left1;
            if (!(square < more)) return;
            more = square, c[0] = c0, c[1] = c1;
        };
        if (!inside0) {
            const double held = free0 < lower[0] ? lower[0] : upper[0], rest = z0 - r00 * held;
            keep(held, std::clamp((r01 * rest + r11 * z1) / (r01 * r01 + r11 * r11), lower[1], upper[1]));
        }
        if (!inside1) {
            const double held = free1 < lower[1] ? lower[1] : upper[1];
            keep(std::clamp((z0 - r01 * held) / r00, lower[0], upper[0]), held);
        }
    }
};

class LinearSolver {
    // Squared norm of a column orthogonalised against the earlier ones, relative to its own: less is rounding, and the
    // column has no direction of its own.
    static constexpr double no_direction = 1e-20;
    // Squared norm of a column held at a bound, relative to the target's: beyond it, no digit of the target is left.
    static constexpr double drowning = 1e20;
    // A pivot below this share of its diagonal is rounding.
    static constexpr double no_pivot = 1e-14;
    // With more coefficients than this, bounds are met by coordinate descent, not by trying every active set.
    static constexpr int max_choices = 3;
    static constexpr int max_sweeps = 200;
    static constexpr double settled = 1e-9;  // the greatest change in a last sweep, in the unit of the target

  public:
    double coefficient[max_parameters];
    bool free[max_parameters];  // not held at a bound

    void resize(int columns, std::size_t points) {
        m_ = columns;
        n_ = points;
        basis_.resize(static_cast<std::size_t>(m_) * n_);
        residual_.resize(n_);
    }

    // Minimise |target - sum c_j column_j| with lower <= c <= upper. Returns the squared norm of the residual; infinity
    // if a bound makes a column so large that the residual would be rounding.
    // columns: m arrays of n values, one after the other; n is a multiple of `lanes`.
    double solve(const double* columns, const double* target, const double* lower, const double* upper) {
        std::fill_n(free, m_, true);
        factor(columns, target);
        back_substitute();
        bool inside = true;
        for (int j = 0; j < m_; ++j) inside = inside && coefficient[j] >= lower[j] && coefficient[j] <= upper[j];
        if (!inside) {
            // NaN among the columns also comes here and leaves as NaN
            if (std::isnan(z_[m_ - 1])) return std::numeric_limits<double>::quiet_NaN();
            bound(lower, upper);
            for (int j = 0; j < m_; ++j)
                if (!free[j] && square_of(j) > drowning * (1 + dot(target, target, n_))) return infinity;
            std::copy_n(target, n_, residual_.data());
            for (int j = 0; j < m_; ++j)
                if (!free[j])
                    subtract(residual_.data(), coefficient[j], columns + static_cast<std::size_t>(j) * n_, n_);
            factor(columns, residual_.data());
            double held[max_parameters];
            std::copy_n(coefficient, m_, held);
            back_substitute();
            for (int j = 0; j < m_; ++j)
                coefficient[j] = free[j] ? std::clamp(coefficient[j], lower[j], upper[j]) : held[j];
        }
        return dot(residual_.data(), residual_.data(), n_);
    }

    // The columns' orthonormal basis and triangle, which depend on neither target nor bounds.
    void decompose(const double* columns) {
        std::fill_n(free, m_, true);
        std::fill(residual_.begin(), residual_.end(), 0.0);
        factor(columns, residual_.data());
    }

    // The basis and triangle found last; a column without a direction of its own is dead.
    const double* basis() const { return basis_.data(); }
    double triangle(int i, int j) const { return r_[i][j]; }
    bool dead(int j) const { return dead_[j]; }

    const double* residual() const { return residual_.data(); }

    // Subtract from v its projection on the free columns.
    void project_out(double* v) const {
        for (int j = 0; j < m_; ++j)
            if (free[j] && !dead_[j]) {
                const double* q = basis_.data() + static_cast<std::size_t>(j) * n_;
                subtract(v, dot(q, v, n_), q, n_);
            }
    }

  private:
    // Modified Gram-Schmidt of the free columns; leaves the residual of the target. Products with one column are
    // independent, and columns are normalised last: at the lengths of learning curves, latency takes most of the time.
    void factor(const double* columns, const double* target) {
        if (target != residual_.data()) std::copy_n(target, n_, residual_.data());
        double whole[max_parameters];
        for (int j = 0; j < m_; ++j) {
            if (!free[j]) continue;
            std::copy_n(columns + static_cast<std::size_t>(j) * n_, n_, column(j));
            whole[j] = dot(column(j), column(j), n_);
        }
        for (int j = 0; j < m_; ++j) {
            if (!free[j]) continue;
            double* const q = column(j);
            const double left = j == 0 ? whole[0] : dot(q, q, n_);
            dead_[j] = left <= no_direction * whole[j] || whole[j] <= 0;  // no direction of its own
            z_[j] = 0;
            r_[j][j] = 1;
            for (int k = j + 1; k < m_; ++k) r_[j][k] = 0;
            if (dead_[j]) continue;
            const double along = dot(q, residual_.data(), n_);
            for (int k = j + 1; k < m_; ++k)
                if (free[k]) r_[j][k] = dot(q, column(k), n_);
            for (int k = j + 1; k < m_; ++k)
                if (free[k]) subtract(column(k), r_[j][k] / left, q, n_);
            subtract(residual_.data(), along / left, q, n_);
            const double length = std::sqrt(left), scale = 1 / length;
            r_[j][j] = length;
            z_[j] = along * scale;
            for (int k = j + 1; k < m_; ++k) r_[j][k] *= scale;
            for (std::size_t i = 0; i < n_; ++i) q[i] *= scale;
        }
    }

    // The squared norm of a column with its coefficient.
    double square_of(int j) const {
        double sum = dead_[j] ? 0 : r_[j][j] * r_[j][j];
        for (int i = 0; i < j; ++i) sum += r_[i][j] * r_[i][j];
        return sum * coefficient[j] * coefficient[j];
    }

    double* column(int j) { return basis_.data() + static_cast<std::size_t>(j) * n_; }

    void back_substitute() {
        for (int j = m_ - 1; j >= 0; --j) {
            if (!free[j]) continue;
            double sum = z_[j];
            if (!dead_[j])
                for (int i = j + 1; i < m_; ++i)
                    if (free[i]) sum -= r_[j][i] * coefficient[i];
            coefficient[j] = sum / r_[j][j];
        }
    }

    // The best coefficients within the bounds, for the current factors: every active set is tried if there are few
    // coefficients, else one coefficient after the other is moved until none gains.
    void bound(const double* lower, const double* upper) {
        if (m_ == 2 && !dead_[0] && !dead_[1]) {
            const BoundedPair pair(r_[0][0], r_[0][1], r_[1][1], z_[0], z_[1], lower, upper);
            for (int j = 0; j < 2; ++j) {
                coefficient[j] = pair.c[j];
                free[j] = pair.c[j] > lower[j] && pair.c[j] < upper[j];
            }
            return;
        }
        double gram[max_parameters][max_parameters], right[max_parameters];
        for (int i = 0; i < m_; ++i) {
            right[i] = 0;
            for (int k = 0; k <= i; ++k)
                if (!dead_[k] && !(k == i && dead_[i])) right[i] += (k == i ? r_[i][i] : r_[k][i]) * z_[k];
            for (int j = 0; j < m_; ++j) {
                gram[i][j] = 0;
                for (int k = 0; k <= std::min(i, j); ++k)
                    if (!dead_[k]) gram[i][j] += r_[k][i] * r_[k][j];
            }
        }
        double best_cost = infinity, best[max_parameters] = {};
        bool best_free[max_parameters] = {};
        const auto cost = [&](const double* c) {
            double sum = 0;
            for (int i = 0; i < m_; ++i) {
                double row = 0;
                for (int j = 0; j < m_; ++j) row += gram[i][j] * c[j];
                sum += c[i] * (row - 2 * right[i]);
            }
            return sum;
        };
        const auto keep = [&](const double* c) {
            const double now = cost(c);
            if (!(now < best_cost)) return;
            best_cost = now;
            std::copy_n(c, m_, best);
            for (int j = 0; j < m_; ++j) best_free[j] = c[j] > lower[j] && c[j] < upper[j];
        };
        if (m_ <= max_choices) {
            const int choices = m_ == 1 ? 3 : m_ == 2 ? 9 : 27;
            for (int choice = 0; choice < choices; ++choice) {
                int rest = choice, open[max_choices], count = 0;
                double c[max_parameters] = {};
                bool possible = true;
                for (int j = 0; j < m_; ++j, rest /= 3) {
                    if (rest % 3 == 0) open[count++] = j;
                    else c[j] = rest % 3 == 1 ? lower[j] : upper[j];
                    possible = possible && std::isfinite(c[j]);
                }
                if (!possible || !solve_open(gram, right, open, count, c)) continue;
                for (int k = 0; k < count; ++k) c[open[k]] = std::clamp(c[open[k]], lower[open[k]], upper[open[k]]);
                keep(c);
            }
        } else {
            double c[max_parameters];
            for (int j = 0; j < m_; ++j) c[j] = std::clamp(coefficient[j], lower[j], upper[j]);
            for (int sweep = 0; sweep < max_sweeps; ++sweep) {
                double moved = 0;
                for (int j = 0; j < m_; ++j) {
                    if (gram[j][j] <= 0) continue;
                    double slope = right[j];
                    for (int i = 0; i < m_; ++i) slope -= gram[j][i] * c[i];
                    const double next = std::clamp(c[j] + slope / gram[j][j], lower[j], upper[j]);
                    moved = std::max(moved, std::abs(next - c[j]) * std::sqrt(gram[j][j]));
                    c[j] = next;
                }
                if (moved < settled) break;
            }
            keep(c);
        }
        if (best_cost == infinity)
            for (int j = 0; j < m_; ++j) best[j] = std::clamp(0.0, lower[j], upper[j]);
        std::copy_n(best, m_, coefficient);
        std::copy_n(best_free, m_, free);
    }

    // Cholesky on the free coefficients, the others held.
    bool solve_open(const double (*gram)[max_parameters], const double* right, const int* open, int count,
                    double* c) const {
        double l[max_choices][max_choices], b[max_choices];
        for (int i = 0; i < count; ++i) {
            b[i] = right[open[i]];
            for (int j = 0; j < m_; ++j)
                if (std::find(open, open + count, j) == open + count) b[i] -= gram[open[i]][j] * c[j];
            for (int j = 0; j <= i; ++j) {
                double sum = gram[open[i]][open[j]];
                for (int k = 0; k < j; ++k) sum -= l[i][k] * l[j][k];
                if (i == j) {
                    if (!(sum > no_pivot * gram[open[i]][open[i]])) return false;
                    l[i][i] = std::sqrt(sum);
                } else {
                    l[i][j] = sum / l[j][j];
                }
            }
            for (int k = 0; k < i; ++k) b[i] -= l[i][k] * b[k];
            b[i] /= l[i][i];
        }
        for (int i = count - 1; i >= 0; --i) {
            double sum = b[i];
            for (int k = i + 1; k < count; ++k) sum -= l[k][i] * c[open[k]];
            c[open[i]] = sum / l[i][i];
        }
        return true;
    }

    int m_ = 0;
    std::size_t n_ = 0;
    std::vector<double> basis_, residual_;
    double r_[max_parameters][max_parameters] = {}, z_[max_parameters] = {};
    bool dead_[max_parameters] = {};
};

}  // namespace a4nn
