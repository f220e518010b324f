// Where a search begins: the grid of all starts, the cost of a curve at each, and its lowest local minima.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "grid.hpp"
#include "objective.hpp"

namespace a4nn {

class StartGrid {
  public:
    static constexpr std::size_t max_minima = 3;  // at most so many are worth a search

    // Compute the costs of the objective's curve and find its minima; the factors of the points are cached if possible.
    // A point beyond the cap on evaluations costs infinity.
    void measure(Objective& objective, GridCache& cache) {
        Problem& problem = objective.problem();
        q_ = static_cast<std::size_t>(problem.searched());
        const std::size_t most = combinations(problem) + (q_ == 1 ? 2 : 0);  // one parameter also has its limits
        if (problem.keeps_grid(most)) {
            kept_ = &cache.at(problem.function().id(), problem.x(), [&] { return factored(problem); });
            costs_.assign(kept_->size(), infinity);
            for (std::size_t i = 0; i < costs_.size() && !objective.exhausted(); ++i)
                costs_[i] = objective.cost((*kept_)[i]);
        } else {
            kept_ = nullptr;
            const std::size_t count = place(problem);
            costs_.assign(count, infinity);
            for (std::size_t i = 0; i < count && !objective.exhausted(); ++i)
                costs_[i] = objective.cost(own_.data() + i * q_);
        }
        find_minima(problem);
    }

    std::size_t size() const { return costs_.size(); }
    double cost(std::size_t i) const { return costs_[i]; }
    const double* operator[](std::size_t i) const { return kept_ ? (*kept_)[i].u.data() : own_.data() + i * q_; }

    // Points that cost no more than their neighbours, the cheapest first.
    const std::vector<std::size_t>& minima() const { return minima_; }

  private:
    static std::size_t combinations(const Problem& problem) {
        std::size_t count = 1;
        for (int k = 0; k < problem.searched(); ++k) count *= problem.range(k).starts.size();
        return count;
    }

    // Put all points into own_, the first parameter changing fastest; returns their number.
    std::size_t place(const Problem& problem) {
        if (q_ == 1) return place_line(problem);
        const std::size_t count = combinations(problem);
        own_.resize(count * q_);
        for (std::size_t k = 0, stride = 1; k < q_; ++k, stride *= axis_.size()) {
            const Range& range = problem.range(static_cast<int>(k));
            axis_.clear();
            for (double start : range.starts) axis_.push_back(range.to_search(start));
            for (std::size_t i = 0; i < count; ++i) own_[i * q_ + k] = axis_[i / stride % axis_.size()];
        }
        return count;
    }

    // One parameter: the limits of its search, and the starts between them.
    std::size_t place_line(const Problem& problem) {
        const double low = problem.low(0), high = problem.high(0);
        own_.clear();
        if (std::isfinite(low)) own_.push_back(low);
        for (double start : problem.range(0).starts) {
            const double u = problem.range(0).to_search(start);
            if (u > low && u < high) own_.push_back(u);
        }
        if (std::isfinite(high)) own_.push_back(high);
        std::sort(own_.begin(), own_.end());
        return own_.size();
    }

    std::vector<GridPoint> factored(Problem& problem) {
        const std::size_t count = place(problem);
        std::vector<GridPoint> out;
        out.reserve(count);
        for (std::size_t i = 0; i < count; ++i) out.push_back(problem.factored(own_.data() + i * q_));
        return out;
    }

    void find_minima(const Problem& problem) {
        std::array<std::size_t, max_parameters> count, stride, at{};
        for (std::size_t k = 0, all = 1; k < q_; all *= count[k++]) {
            count[k] = q_ == 1 ? costs_.size() : problem.range(static_cast<int>(k)).starts.size();
            stride[k] = all;
        }
        minima_.clear();
        for (std::size_t i = 0; i < costs_.size(); ++i) {
            bool lowest = costs_[i] < infinity;
            for (std::size_t k = 0; k < q_ && lowest; ++k)
                lowest = (at[k] == 0 || costs_[i] <= costs_[i - stride[k]]) &&
                         (at[k] + 1 == count[k] || costs_[i] < costs_[i + stride[k]]);
            if (lowest) minima_.push_back(i);
            for (std::size_t k = 0; k < q_ && ++at[k] == count[k]; ++k) at[k] = 0;
        }
        std::sort(minima_.begin(), minima_.end(), [&](std::size_t a, std::size_t b) { return costs_[a] < costs_[b]; });
        if (minima_.size() > max_minima) minima_.resize(max_minima);
    }

    std::size_t q_ = 0;  // searched parameters
    const std::vector<GridPoint>* kept_ = nullptr;
    std::vector<double> own_, axis_, costs_;  // own_: points one after the other
    std::vector<std::size_t> minima_;
};

}  // namespace a4nn
