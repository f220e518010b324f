// The grid of starts of a function, factored once for a set of points: the cost of a curve at every start is then a
// few dot products. Curves of one run share their epochs, so the factors are cached.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "linear.hpp"

namespace a4nn {

// The least squares problem at one start: its linear columns as an orthonormal basis. Where they have bounds there are
// at most two of them, and the triangle that goes with the basis.
struct GridPoint {
    static constexpr int max_bounded = 2;
    std::array<double, max_parameters> u{};
    bool defined = false, bounded = false;
    double r00 = 0, r01 = 0, r11 = 0;
    std::array<double, max_bounded> lower{}, upper{};
    std::vector<double> offset;  // empty if there is none
    std::vector<double> basis;   // column-major

    // Half the squared norm of the residual of y with the best coefficients within their bounds.
    double cost(const double* y, double y_square, std::size_t n, int columns, double* work) const {
        if (!defined) return infinity;
        if (!offset.empty()) {
            for (std::size_t i = 0; i < n; ++i) work[i] = y[i] - offset[i];
            y = work;
            y_square = dot(y, y, n);
        }
        double z[max_parameters], left = y_square;
        for (int j = 0; j < columns; ++j) {
            z[j] = dot(basis.data() + static_cast<std::size_t>(j) * n, y, n);
            left -= z[j] * z[j];
        }
        if (bounded && columns == 1) {
            const double more = z[0] - r00 * std::clamp(z[0] / r00, lower[0], upper[0]);
            left += more * more;
        } else if (bounded) {
            left += BoundedPair(r00, r01, r11, z[0], z[1], lower.data(), upper.data()).more;
        }
        return 0.5 * std::max(left, 0.0);
    }
};

// A cache of grids by function and points; a new grid replaces an old one in its slot.
class GridCache {
  public:
    static constexpr std::size_t largest = 1 << 15;  // numbers in one grid (256 KiB); larger ones are not cached

    // The points of this grid; make() creates them if they are not cached.
    template <class Make>
    const std::vector<GridPoint>& at(std::uint64_t function, std::span<const double> x, Make make) {
        Grid& grid = grids_[(function * 32 + x.size()) % grids_.size()];
        if (grid.function != function || !std::ranges::equal(grid.x, x)) {
            grid.function = 0;  // if make() throws, an incomplete grid must not be found
            grid.points = make();
            grid.x.assign(x.begin(), x.end());
            grid.function = function;
        }
        return grid.points;
    }

  private:
    struct Grid {
        std::uint64_t function = 0;  // none
        std::vector<double> x;
        std::vector<GridPoint> points;
    };

    std::vector<Grid> grids_ = std::vector<Grid>(512);  // sixteen functions, curves of up to 32 epochs: no collisions
};

}  // namespace a4nn
