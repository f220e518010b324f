// Evaluates nodes of a graph at all points at once, with exact derivatives (forward mode) for chosen parameters.
//
// Nodes without the epoch are scalars; nodes without parameters are computed once for a set of points; the rest is
// computed anew for every value of the parameters, one loop over the points per operation. Points are padded to a
// multiple of the lane count so that loops have no tail.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "graph.hpp"
#include "vector_math.hpp"

namespace a4nn {

// The evaluation plan of a function, made once: the nodes that the roots need, in order.
class Program {
  public:
    Program() = default;
    // searched: the parameter slots that derivatives are taken for; slot i of `values` is parameter searched[i].
    Program(const Graph& graph, std::vector<int> roots, std::vector<int> searched)
        : roots_(std::move(roots)), searched_(std::move(searched)) {
        std::vector<char> wanted(static_cast<std::size_t>(graph.size()), 0);
        for (int root : roots_) mark(graph, root, wanted);
        std::vector<int> position(static_cast<std::size_t>(graph.size()), -1);
        for (int id = 0; id < graph.size(); ++id) {
            if (!wanted[static_cast<std::size_t>(id)]) continue;
            Node node = graph[id];
            Step step;
            step.op = node.op;
            step.value = node.value;
            step.vector = (node.mask & on_variable) != 0;
            for (std::size_t k = 0; k < searched_.size(); ++k)
                if (node.mask & on_parameter(searched_[k])) step.depends |= 1u << k;
            if (node.op == Op::parameter) {
                step.a = 0;
                for (std::size_t k = 0; k < searched_.size(); ++k)
                    if (searched_[k] == node.a) step.a = static_cast<int>(k);
            } else {
                step.a = node.a < 0 ? -1 : position[static_cast<std::size_t>(node.a)];
                step.b = node.op == Op::power ? node.b : node.b < 0 ? -1 : position[static_cast<std::size_t>(node.b)];
            }
            position[static_cast<std::size_t>(id)] = static_cast<int>(steps_.size());
            steps_.push_back(step);
        }
        for (int& root : roots_) root = root < 0 ? -1 : position[static_cast<std::size_t>(root)];
    }

    struct Step {
        Op op;
        int a = -1, b = -1;
        double value = 0;
        bool vector = false;
        unsigned depends = 0;  // bit k: on searched parameter k
    };
    const std::vector<Step>& steps() const { return steps_; }
    int root(std::size_t i) const { return roots_[i]; }
    std::size_t roots() const { return roots_.size(); }
    int searched() const { return static_cast<int>(searched_.size()); }

  private:
    static void mark(const Graph& graph, int id, std::vector<char>& wanted) {
        if (id < 0 || wanted[static_cast<std::size_t>(id)]) return;
        wanted[static_cast<std::size_t>(id)] = 1;
        const Node& node = graph[id];
        if (node.op == Op::parameter) return;
        mark(graph, node.a, wanted);
        if (node.op != Op::power) mark(graph, node.b, wanted);
    }

    std::vector<Step> steps_;
    std::vector<int> roots_, searched_;
};

class Machine {
  public:
    static std::size_t padded(std::size_t points) { return (points + lanes - 1) / lanes * lanes; }

    // Set new points; false if a part that depends on the epoch alone has no finite value at one of them.
    bool prepare(const Program& program, std::span<const double> x) {
        program_ = &program;
        points_ = padded(x.size());
        arrays_ = static_cast<std::size_t>(program.searched()) + 1;
        memory_.resize(program.steps().size() * arrays_ * points_);
        scalars_.resize(program.steps().size() * arrays_);
        bool finite = true;
        for (std::size_t s = 0; s < program.steps().size(); ++s) {
            const auto& step = program.steps()[s];
            if (step.op == Op::constant) scalar(s, 0) = step.value;
            if (step.op == Op::variable) {
                double* out = vector(s, 0);
                for (std::size_t i = 0; i < points_; ++i) out[i] = x[i < x.size() ? i : x.size() - 1];
            } else if (!step.depends) {
                value(s, step);
                if (!step.vector) continue;
                for (std::size_t i = 0; i < points_; ++i) finite = finite && std::isfinite(vector(s, 0)[i]);
            }
        }
        return finite;
    }

    // Evaluate all nodes at these parameters; with derivatives on request.
    void evaluate(const double* parameters, bool derivatives) {
        const auto& steps = program_->steps();
        for (std::size_t s = 0; s < steps.size(); ++s) {
            const auto& step = steps[s];
            if (!step.depends) continue;
            if (step.op == Op::parameter) {
                scalar(s, 0) = parameters[step.a];
                for (std::size_t k = 1; k < arrays_; ++k) scalar(s, k) = k == static_cast<std::size_t>(step.a) + 1;
                continue;
            }
            value(s, step);
            if (!derivatives) continue;
            for (std::size_t k = 1; k < arrays_; ++k)
                if (step.depends >> (k - 1) & 1u) derivative(s, step, k);
        }
    }

    std::size_t points() const { return points_; }
    bool is_vector(int step) const { return program_->steps()[static_cast<std::size_t>(step)].vector; }
    bool depends(int step, int k) const { return program_->steps()[static_cast<std::size_t>(step)].depends >> k & 1u; }
    bool depends_at_all(int step) const {
        return step >= 0 && program_->steps()[static_cast<std::size_t>(step)].depends;
    }
    double number(int step) const { return scalars_[static_cast<std::size_t>(step) * arrays_]; }
    double number_derivative(int step, int k) const {
        return scalars_[static_cast<std::size_t>(step) * arrays_ + static_cast<std::size_t>(k) + 1];
    }
    const double* values(int step) const {
        return const_cast<Machine*>(this)->vector(static_cast<std::size_t>(step), 0);
    }
    const double* derivatives(int step, int k) const {
        return const_cast<Machine*>(this)->vector(static_cast<std::size_t>(step), static_cast<std::size_t>(k) + 1);
    }

  private:
    double* vector(std::size_t step, std::size_t k) { return memory_.data() + (step * arrays_ + k) * points_; }
    double& scalar(std::size_t step, std::size_t k) { return scalars_[step * arrays_ + k]; }

    template <class F>
    void unary(std::size_t s, std::size_t k, const Program::Step& step, F f) {
        if (step.vector) {
            double* out = vector(s, k);
            for (std::size_t i = 0; i < points_; ++i) out[i] = f(i);
        } else {
            scalar(s, k) = f(0);
        }
    }

    // f(left operand, right operand) at every point; either may be a scalar.
    template <class F>
    void binary(std::size_t s, const Program::Step& step, F f) {
        if (!step.vector) {
            scalar(s, 0) = f(scalar(step.a, 0), scalar(step.b, 0));
            return;
        }
        double* out = vector(s, 0);
        const bool va = is_vector(step.a), vb = is_vector(step.b);
        if (va && vb) {
            const double *a = vector(step.a, 0), *b = vector(step.b, 0);
            for (std::size_t i = 0; i < points_; ++i) out[i] = f(a[i], b[i]);
        } else if (va) {
            const double *a = vector(step.a, 0), b = scalar(step.b, 0);
            for (std::size_t i = 0; i < points_; ++i) out[i] = f(a[i], b);
        } else {
            const double a = scalar(step.a, 0), *b = vector(step.b, 0);
            for (std::size_t i = 0; i < points_; ++i) out[i] = f(a, b[i]);
        }
    }

    void value(std::size_t s, const Program::Step& step) {
        const std::size_t a = static_cast<std::size_t>(step.a);
        const double* va = step.a >= 0 ? (is_vector(step.a) ? vector(a, 0) : &scalar(a, 0)) : nullptr;
        switch (step.op) {
            case Op::constant:
            case Op::variable:
            case Op::parameter: return;
            case Op::add: return binary(s, step, [](double l, double r) { return l + r; });
            case Op::sub: return binary(s, step, [](double l, double r) { return l - r; });
            case Op::mul: return binary(s, step, [](double l, double r) { return l * r; });
            case Op::div: return binary(s, step, [](double l, double r) { return l / r; });
            case Op::neg: return unary(s, 0, step, [va](std::size_t i) { return -va[i]; });
            case Op::sqrt: return unary(s, 0, step, [va](std::size_t i) { return std::sqrt(va[i]); });
            case Op::tanh: return unary(s, 0, step, [va](std::size_t i) { return std::tanh(va[i]); });
            case Op::exp:
                if (step.vector) exp_all(va, vector(s, 0), points_);
                else scalar(s, 0) = exp_one(*va);
                return;
            case Op::log:
                if (step.vector) log_all(va, vector(s, 0), points_);
                else scalar(s, 0) = log_one(*va);
                return;
            case Op::power: {
                const int exponent = step.b;
                return unary(s, 0, step, [va, exponent](std::size_t i) { return integer_power(va[i], exponent); });
            }
        }
    }

    // d out = slope_a * da + slope_b * db, each slope and derivative a scalar or one value per point.
    struct View {
        const double* at = nullptr;
        std::size_t stride = 0;
        double operator[](std::size_t i) const { return at[i * stride]; }
    };
    View view(int step, std::size_t k) {
        const auto s = static_cast<std::size_t>(step);
        return is_vector(step) ? View{vector(s, k), 1} : View{&scalar(s, k), 0};
    }
    View own(std::size_t s, const Program::Step& step) {
        return step.vector ? View{vector(s, 0), 1} : View{&scalar(s, 0), 0};
    }

    // out = f(left, right), where either may be a scalar: one loop per case, so that each is vectorised.
    template <class F>
    void join(std::size_t s, std::size_t k, const Program::Step& step, View a, View b, F f) {
        double* const out = step.vector ? vector(s, k) : &scalar(s, k);
        const std::size_t count = step.vector ? points_ : 1;
        if (a.stride && b.stride)
            for (std::size_t i = 0; i < count; ++i) out[i] = f(a.at[i], b.at[i]);
        else if (a.stride)
            for (std::size_t i = 0; i < count; ++i) out[i] = f(a.at[i], *b.at);
        else
            for (std::size_t i = 0; i < count; ++i) out[i] = f(*a.at, b[i]);
    }

    void derivative(std::size_t s, const Program::Step& step, std::size_t k) {
        const bool da_there = step.a >= 0 && depends(step.a, static_cast<int>(k) - 1);
        const bool two = step.op == Op::add || step.op == Op::sub || step.op == Op::mul || step.op == Op::div;
        const bool db_there = two && depends(step.b, static_cast<int>(k) - 1);
        const View a = view(step.a, 0), da = view(step.a, k), out = own(s, step);
        if (two) {
            const View b = view(step.b, 0), db = view(step.b, k);
            switch (step.op) {
                case Op::add:
                    if (!db_there) return join(s, k, step, da, da, [](double l, double) { return l; });
                    if (!da_there) return join(s, k, step, db, db, [](double r, double) { return r; });
                    return join(s, k, step, da, db, [](double l, double r) { return l + r; });
                case Op::sub:
                    if (!db_there) return join(s, k, step, da, da, [](double l, double) { return l; });
                    if (!da_there) return join(s, k, step, db, db, [](double r, double) { return -r; });
                    return join(s, k, step, da, db, [](double l, double r) { return l - r; });
                case Op::mul:
                    if (!db_there) return join(s, k, step, da, b, [](double l, double r) { return l * r; });
                    if (!da_there) return join(s, k, step, a, db, [](double l, double r) { return l * r; });
                    return unary(s, k, step, [&](std::size_t i) { return da[i] * b[i] + a[i] * db[i]; });
                default:
                    if (!db_there) return join(s, k, step, da, b, [](double l, double r) { return l / r; });
                    if (!da_there) return unary(s, k, step, [&](std::size_t i) { return -out[i] * db[i] / b[i]; });
                    return unary(s, k, step, [&](std::size_t i) { return (da[i] - out[i] * db[i]) / b[i]; });
            }
        }
        switch (step.op) {
            case Op::neg: return join(s, k, step, da, da, [](double d, double) { return -d; });
            case Op::exp: return join(s, k, step, out, da, [](double v, double d) { return v * d; });
            case Op::log: return join(s, k, step, da, a, [](double d, double v) { return d / v; });
            case Op::sqrt: return join(s, k, step, da, out, [](double d, double v) { return d / (2 * v); });
            case Op::tanh: return join(s, k, step, out, da, [](double v, double d) { return (1 - v * v) * d; });
            default: {
                const int exponent = step.b;
                return join(s, k, step, a, da,
                            [exponent](double v, double d) { return exponent * integer_power(v, exponent - 1) * d; });
            }
        }
    }

    const Program* program_ = nullptr;
    std::size_t points_ = 0, arrays_ = 1;
    std::vector<double> memory_, scalars_;
};

}  // namespace a4nn
