// One parameter: its bounds, the coordinate in which it is searched, and where its search starts.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "vector_math.hpp"

namespace a4nn {

// Where a parameter may lie and where its search starts. With an origin o the search runs over log(p - o).
struct Range {
    double lower = -infinity;
    double upper = infinity;
    double origin = std::numeric_limits<double>::quiet_NaN();
    std::vector<double> starts;

    bool logarithmic() const { return !std::isnan(origin); }
    bool mirrored() const { return logarithmic() && upper <= origin; }  // below its origin: log(o - p)
    double to_search(double p) const { return logarithmic() ? log_one(std::abs(p - origin)) : p; }
    double from_search(double u) const {
        return std::clamp(!logarithmic() ? u : mirrored() ? origin - exp_one(u) : origin + exp_one(u), lower, upper);
    }
    // dp/du
    double slope(double p) const { return logarithmic() ? p - origin : 1.0; }
    double search_lower() const { return logarithmic() ? end(mirrored() ? upper : lower, least_start(), -1) : lower; }
    double search_upper() const {
        return logarithmic() ? end(mirrored() ? lower : upper, greatest_start(), +1) : upper;
    }

    // Default starts for one of so many searched parameters: the more parameters, the fewer starts, since their grid
    // has all combinations.
    void find_starts(std::size_t searched) {
        origin = std::numeric_limits<double>::quiet_NaN();
        if (std::isfinite(lower) && std::isfinite(upper)) {  // evenly between the bounds
            const int count = searched == 1 ? 17 : searched == 2 ? 7 : 4;
            for (int i = 0; i < count; ++i) starts.push_back(lower + (upper - lower) * (i + 0.5) / count);
            return;
        }
        if (lower >= 0 && lower < 1e-3 && std::isinf(upper)) {  // a rate or a scale: over the orders of magnitude
            origin = lower;
            const double factor = searched == 1 ? 2.5 : searched == 2 ? 6 : 20;
            for (double s = 1e-3; s < 50; s *= factor) starts.push_back(lower + s);
            return;
        }
        // either sign, denser towards zero, mirrored or shifted to lie inside a one-sided bound
        static const std::vector<double> fine{-30,  -10,  -3,  -1,  -0.3, -0.1, -0.03, -0.01,
                                              0.01, 0.03, 0.1, 0.3, 1,    3,    10,    30};
        static const std::vector<double> middle{-3, -0.5, -0.05, 0.05, 0.5, 1, 3}, coarse{-1, 0.1, 1};
        for (double s : searched == 1 ? fine : searched == 2 ? middle : coarse) {
            const double moved = std::isfinite(lower) && s < lower   ? lower + std::abs(s)
                                 : std::isfinite(upper) && s > upper ? upper - std::abs(s)
                                                                     : s;
            starts.push_back(std::clamp(moved, lower, upper));
        }
        std::sort(starts.begin(), starts.end());
        starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
    }

  private:
    static constexpr double log_1000 = 6.907755278982137;

    double least_start() const { return mirrored() ? starts.back() : starts.front(); }
    double greatest_start() const { return mirrored() ? starts.front() : starts.back(); }
    // A bound in the search coordinate; one at the origin or infinity is put a factor of a thousand from the starts.
    double end(double bound, double start, int side) const {
        return std::isfinite(bound) && bound != origin ? to_search(bound) : to_search(start) + side * log_1000;
    }
};

}  // namespace a4nn
