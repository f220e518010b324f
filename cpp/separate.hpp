// Which parameters enter linearly? f(n; p) = g(n; t) + sum_j c_j h_j(n; t): the c can be found by linear least
// squares for any t, so that only t is searched (variable projection, Golub and Pereyra 1973).
//
// A parameter that only shifts an exponent, exp(k p + ...) with k free of n, is linear as P = exp(k p): a - b**(c-n)
// is a - P b**(-n) with P = b**c. The bounds of P then depend on t.
#pragma once

#include <array>
#include <bit>
#include <optional>
#include <vector>

#include "graph.hpp"

namespace a4nn {

// A linear coefficient of the separated form.
struct Linear {
    int parameter;  // which parameter it stands for
    int column;     // node: its basis function h_j
    int rate = -1;  // node k if the coefficient is P = exp(k p), else -1
};

struct Separated {
    int offset = -1;  // node g, or -1 if zero
    std::vector<Linear> linear;
    std::vector<int> nonlinear;  // parameters that are searched
};

class Separator {
  public:
    Separator(Graph& graph, int root, int parameters) : g_(graph), root_(root), count_(parameters) {}

    Separated separate() {
        // Rewriting a shift of an exponent pays only if it becomes a linear coefficient; else it is undone.
        Mask allowed = (1u << count_) - 1;
        for (;;) {
            int root = root_;
            std::array<int, max_parameters> rate;
            rate.fill(-1);
            for (int p = 0; p < count_; ++p)
                if (allowed & on_parameter(p)) rewrite(root, p, rate);
            const Mask chosen = largest_linear_set(root, rate);
            Mask useless = 0;
            for (int p = 0; p < count_; ++p)
                if (rate[p] >= 0 && !(chosen & on_parameter(p))) useless |= on_parameter(p);
            if (!useless) return build(root, chosen, rate);
            allowed &= ~useless;
        }
    }

  private:
    static constexpr int amplitude_slot = 16;  // P of parameter p is slot 16 + p
    struct Affine {
        int constant = -1;
        std::array<int, max_parameters> coefficient;
        Affine() { coefficient.fill(-1); }
    };
    Mask slot(int p, const std::array<int, max_parameters>& rate) const {
        return on_parameter(rate[p] >= 0 ? amplitude_slot + p : p);
    }

    int plus(int a, int b) { return a < 0 ? b : b < 0 ? a : g_.add(a, b); }
    int minus(int a, int b) { return b < 0 ? a : a < 0 ? g_.neg(b) : g_.sub(a, b); }

    // The node as an affine function of the parameters whose slots are in the set, or nothing if it is not affine.
    std::optional<Affine> affine(int id, Mask set) {
        const Node node = g_[id];
        Affine out;
        if (!(node.mask & set)) {
            out.constant = id;
            return out;
        }
        const auto merge = [&](auto&& f) -> std::optional<Affine> {
            const auto a = affine(node.a, set), b = affine(node.b, set);
            if (!a || !b) return std::nullopt;
            out.constant = f(a->constant, b->constant);
            for (int p = 0; p < max_parameters; ++p) out.coefficient[p] = f(a->coefficient[p], b->coefficient[p]);
            return out;
        };
        const auto each = [&](int inner, auto&& f) -> std::optional<Affine> {
            const auto a = affine(inner, set);
            if (!a) return std::nullopt;
            out.constant = a->constant < 0 ? -1 : f(a->constant);
            for (int p = 0; p < max_parameters; ++p)
                out.coefficient[p] = a->coefficient[p] < 0 ? -1 : f(a->coefficient[p]);
            return out;
        };
        switch (node.op) {
            case Op::parameter: out.coefficient[node.a % amplitude_slot] = g_.constant(1); return out;
            case Op::add: return merge([&](int a, int b) { return plus(a, b); });
            case Op::sub: return merge([&](int a, int b) { return minus(a, b); });
            case Op::neg: return each(node.a, [&](int a) { return g_.neg(a); });
            case Op::mul:
                if (g_.mask(node.b) & set) {
                    if (g_.mask(node.a) & set) return std::nullopt;
                    return each(node.b, [&](int b) { return g_.mul(node.a, b); });
                }
                return each(node.a, [&](int a) { return g_.mul(a, node.b); });
            case Op::div:
                if (g_.mask(node.b) & set) return std::nullopt;
                return each(node.a, [&](int a) { return g_.div(a, node.b); });
            default: return std::nullopt;
        }
    }

    // If parameter p occurs only as a shift of one exponent, make it an amplitude.
    void rewrite(int& root, int p, std::array<int, max_parameters>& rate) {
        const Mask bit = on_parameter(p);
        for (int id = 0, end = g_.size(); id < end; ++id) {
            if (g_[id].op != Op::exp || !(g_.mask(id) & bit)) continue;
            const auto exponent = affine(g_[id].a, bit);
            if (!exponent) continue;
            const int k = exponent->coefficient[p];
            if (k < 0 || (g_.mask(k) & (on_variable | bit))) continue;
            const int rest = exponent->constant < 0 ? g_.constant(1) : g_.exp(exponent->constant);
            const int replacement = g_.mul(g_.parameter(amplitude_slot + p), rest);
            const int candidate = replace(root, id, replacement);
            if (candidate == root || (g_.mask(candidate) & bit)) continue;
            root = candidate;
            rate[p] = k;
            return;
        }
    }

    int replace(int id, int from, int to) {
        if (id == from) return to;
        const Node node = g_[id];
        switch (node.op) {
            case Op::constant:
            case Op::variable:
            case Op::parameter: return id;
            case Op::add: {
                const int a = replace(node.a, from, to);
                return g_.add(a, replace(node.b, from, to));
            }
            case Op::sub: {
                const int a = replace(node.a, from, to);
                return g_.sub(a, replace(node.b, from, to));
            }
            case Op::mul: {
                const int a = replace(node.a, from, to);
                return g_.mul(a, replace(node.b, from, to));
            }
            case Op::div: {
                const int a = replace(node.a, from, to);
                return g_.div(a, replace(node.b, from, to));
            }
            case Op::power: return g_.pow(replace(node.a, from, to), g_.constant(node.b));
            case Op::neg: return g_.neg(replace(node.a, from, to));
            case Op::exp: return g_.exp(replace(node.a, from, to));
            case Op::log: return g_.log(replace(node.a, from, to));
            case Op::sqrt: return g_.sqrt(replace(node.a, from, to));
            case Op::tanh: return g_.tanh(replace(node.a, from, to));
        }
        return id;
    }

    Mask largest_linear_set(int root, const std::array<int, max_parameters>& rate) {
        Mask best = 0;
        for (Mask set = 1; set < (1u << count_); ++set) {
            if (std::popcount(set) <= std::popcount(best)) continue;
            Mask slots = 0, rates = 0;
            for (int p = 0; p < count_; ++p) {
                if (!(set & on_parameter(p))) continue;
                slots |= slot(p, rate);
                if (rate[p] >= 0) rates |= g_.mask(rate[p]);
            }
            if (rates & (slots | set)) continue;  // the bounds of an amplitude must be known before the linear fit
            if (affine(root, slots)) best = set;
        }
        return best;
    }

    Separated build(int root, Mask chosen, const std::array<int, max_parameters>& rate) {
        Separated out;
        Mask slots = 0;
        for (int p = 0; p < count_; ++p) {
            if (chosen & on_parameter(p)) slots |= slot(p, rate);
            else out.nonlinear.push_back(p);
        }
        const auto parts = affine(root, slots);
        out.offset = parts->constant;
        for (int p = 0; p < count_; ++p)
            if (chosen & on_parameter(p)) {
                const int column = parts->coefficient[p];
                out.linear.push_back({p, column < 0 ? g_.constant(0) : column, rate[p]});
            }
        return out;
    }

    Graph& g_;
    int root_;
    int count_;
};

}  // namespace a4nn
