// What a search sees of a problem: its cost, counted against a cap on evaluations, and the best point so far.
#pragma once

#include <algorithm>

#include "problem.hpp"

namespace a4nn {

struct Point {
    double cost = infinity;
    double u[max_parameters] = {};
};

// How a search ended.
enum class Ended { settled, at_limit };

class Objective {
  public:
    Objective(Problem& problem, int max_evaluations) : problem_(problem), max_evaluations_(max_evaluations) {}

    Problem& problem() const { return problem_; }
    int evaluations() const { return evaluations_; }
    bool exhausted() const { return evaluations_ >= max_evaluations_; }

    double cost(const double* u) { return seen(u, problem_.cost(u)); }
    double cost_and_gradient(const double* u) { return seen(u, problem_.cost_and_gradient(u)); }

    // The cost at a point of a cached grid. It is less precise than the others, so it never becomes the best point.
    double cost(const GridPoint& point) {
        ++evaluations_;
        return problem_.cost(point);
    }

    const Point& best() const { return best_; }
    bool found() const { return best_.cost < infinity; }

    // Forget the best point, as further costs are not comparable with earlier ones.
    void forget() { best_.cost = infinity; }
    void restore(const Point& point) { best_ = point; }

    // Set the best point without evaluating its cost.
    void trust(const double* u) { std::copy_n(u, problem_.searched(), best_.u); }

  private:
    double seen(const double* u, double cost) {
        ++evaluations_;
        if (cost < best_.cost) {
            best_.cost = cost;
            std::copy_n(u, problem_.searched(), best_.u);
        }
        return cost;
    }

    Problem& problem_;
    int max_evaluations_, evaluations_ = 0;
    Point best_;
};

}  // namespace a4nn
