// A parametric function ready to be fitted: its expression, what is linear in it, bounds and where to look.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "machine.hpp"
#include "parse.hpp"
#include "separate.hpp"

namespace a4nn {

// Where a parameter may lie and where its search starts. With an origin o the search runs over log(p - o).
struct Range {
    double lower = -std::numeric_limits<double>::infinity();
    double upper = std::numeric_limits<double>::infinity();
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

  private:
    double least_start() const { return mirrored() ? starts.back() : starts.front(); }
    double greatest_start() const { return mirrored() ? starts.front() : starts.back(); }
    // where a bound lies in the search; a bound at the origin or at infinity is a factor of a thousand from the starts
    double end(double bound, double start, int side) const {
        return std::isfinite(bound) && bound != origin ? to_search(bound) : to_search(start) + side * 6.907755278982137;
    }
};

class Function {
  public:
    Function(const std::string& text, std::vector<std::string> names, std::vector<Range> ranges) {
        Expression parsed = Parser(text, std::move(names)).parse();
        names_ = parsed.parameters;
        ranges_ = std::move(ranges);
        ranges_.resize(names_.size());
        uses_variable_ = (parsed.graph.mask(parsed.root) & on_variable) != 0;
        std::vector<int> all(names_.size());
        for (std::size_t p = 0; p < all.size(); ++p) all[p] = static_cast<int>(p);
        whole_ = Program(parsed.graph, {parsed.root}, all);
        separated_ = Separator(parsed.graph, parsed.root, static_cast<int>(names_.size())).separate();
        std::vector<int> roots{separated_.offset};
        for (const Linear& linear : separated_.linear) roots.push_back(linear.column);
        for (const Linear& linear : separated_.linear) roots.push_back(linear.rate);
        reduced_ = Program(parsed.graph, roots, separated_.nonlinear);
        for (std::size_t p = 0; p < names_.size(); ++p) complete(p);
    }

    std::uint64_t id() const { return id_; }  // no two declarations share one; never 0
    const std::vector<std::string>& names() const { return names_; }
    const std::vector<Range>& ranges() const { return ranges_; }
    const Separated& separated() const { return separated_; }
    const Program& whole() const { return whole_; }
    const Program& reduced() const { return reduced_; }
    bool uses_variable() const { return uses_variable_; }

  private:
    // Check a range; give a searched parameter starts if it has none.
    void complete(std::size_t p) {
        Range& range = ranges_[p];
        if (!(range.lower < range.upper))
            throw std::invalid_argument("the bounds of " + names_[p] + " leave nothing between them");
        std::erase_if(range.starts, [&](double s) {
            return !(s >= range.lower && s <= range.upper) ||
                   (range.logarithmic() && (range.mirrored() ? !(s < range.origin) : !(s > range.origin)));
        });
        std::sort(range.starts.begin(), range.starts.end());
        if (!range.starts.empty()) return;
        range.origin = std::numeric_limits<double>::quiet_NaN();
        const std::size_t searched = separated_.nonlinear.size();
        if (std::isfinite(range.lower) && std::isfinite(range.upper)) {
            const int count = searched == 1 ? 17 : searched == 2 ? 7 : 4;
            for (int i = 0; i < count; ++i)
                range.starts.push_back(range.lower + (range.upper - range.lower) * (i + 0.5) / count);
            return;
        }
        if (range.lower >= 0 && range.lower < 1e-3 && std::isinf(range.upper)) {
            range.origin = range.lower;
            const double factor = searched == 1 ? 2.5 : searched == 2 ? 6 : 20;
            for (double s = 1e-3; s < 50; s *= factor) range.starts.push_back(range.lower + s);
            return;
        }
        static const std::vector<double> fine{-30,  -10,  -3,  -1,  -0.3, -0.1, -0.03, -0.01,
                                              0.01, 0.03, 0.1, 0.3, 1,    3,    10,    30};
        static const std::vector<double> middle{-3, -0.5, -0.05, 0.05, 0.5, 1, 3}, coarse{-1, 0.1, 1};
        for (double s : searched == 1 ? fine : searched == 2 ? middle : coarse) {
            const double moved = std::isfinite(range.lower) && s < range.lower   ? range.lower + std::abs(s)
                                 : std::isfinite(range.upper) && s > range.upper ? range.upper - std::abs(s)
                                                                                 : s;
            range.starts.push_back(std::clamp(moved, range.lower, range.upper));
        }
        std::sort(range.starts.begin(), range.starts.end());
        range.starts.erase(std::unique(range.starts.begin(), range.starts.end()), range.starts.end());
    }

    static std::uint64_t next_id() {
        static std::atomic<std::uint64_t> count{0};
        return ++count;
    }

    std::uint64_t id_ = next_id();
    std::vector<std::string> names_;
    std::vector<Range> ranges_;
    bool uses_variable_ = false;
    Separated separated_;
    Program whole_, reduced_;
};

}  // namespace a4nn
