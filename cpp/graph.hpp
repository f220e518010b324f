// Expressions as a graph: every node is an operation on earlier nodes, equal nodes are stored once.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "vector_math.hpp"

namespace a4nn {

inline constexpr int max_parameters = 8;
inline constexpr int max_whole_exponent = 64;  // a dozen products at most: less than exp and log cost

enum class Op : std::uint8_t { constant, variable, parameter, add, sub, mul, div, power, neg, exp, log, sqrt, tanh };

// What a node depends on: one bit per parameter slot, and one for the variable (the epoch).
using Mask = std::uint32_t;
inline constexpr Mask on_variable = 1u << 31;
constexpr Mask on_parameter(int slot) { return 1u << slot; }

struct Node {
    Op op;
    int a = -1;        // first operand; for a parameter, its slot
    int b = -1;        // second operand; for a power, its whole-number exponent
    double value = 0;  // value of a constant
    Mask mask = 0;
};

class Graph {
  public:
    const Node& operator[](int id) const { return nodes_[static_cast<std::size_t>(id)]; }
    int size() const { return static_cast<int>(nodes_.size()); }
    Mask mask(int id) const { return (*this)[id].mask; }
    bool is_constant(int id) const { return (*this)[id].op == Op::constant; }
    bool is(int id, double value) const { return is_constant(id) && (*this)[id].value == value; }

    int constant(double value) { return intern({Op::constant, -1, -1, value, 0}); }
    int variable() { return intern({Op::variable, -1, -1, 0, on_variable}); }
    int parameter(int slot) { return intern({Op::parameter, slot, -1, 0, on_parameter(slot)}); }

    int add(int a, int b) {
        if (both_constant(a, b)) return constant(value(a) + value(b));
        if (is(a, 0)) return b;
        if (is(b, 0)) return a;
        return binary(Op::add, a, b);
    }
    int sub(int a, int b) {
        if (both_constant(a, b)) return constant(value(a) - value(b));
        if (is(b, 0)) return a;
        if (is(a, 0)) return neg(b);
        return binary(Op::sub, a, b);
    }
    int mul(int a, int b) {
        if (both_constant(a, b)) return constant(value(a) * value(b));
        if (is(a, 1)) return b;
        if (is(b, 1)) return a;
        if (is(a, 0) || is(b, 0)) return constant(0);
        if (is(a, -1)) return neg(b);
        if (is(b, -1)) return neg(a);
        if ((*this)[a].op == Op::neg) return neg(mul((*this)[a].a, b));
        if ((*this)[b].op == Op::neg) return neg(mul(a, (*this)[b].a));
        return binary(Op::mul, a, b);
    }
    int div(int a, int b) {
        if (both_constant(a, b)) return constant(value(a) / value(b));
        if (is(b, 1)) return a;
        return binary(Op::div, a, b);
    }
    int neg(int a) {
        if (is_constant(a)) return constant(-value(a));
        if ((*this)[a].op == Op::neg) return (*this)[a].a;
        return unary(Op::neg, a);
    }
    int exp(int a) { return is_constant(a) ? constant(exp_one(value(a))) : unary(Op::exp, a); }
    int log(int a) {
        if (is_constant(a)) return constant(log_one(value(a)));
        if ((*this)[a].op == Op::exp) return (*this)[a].a;
        return unary(Op::log, a);
    }
    int sqrt(int a) { return is_constant(a) ? constant(std::sqrt(value(a))) : unary(Op::sqrt, a); }
    int tanh(int a) { return is_constant(a) ? constant(std::tanh(value(a))) : unary(Op::tanh, a); }

    // Small whole-number exponents are multiplied out; every other power is exp(exponent * log(base)), which has no
    // value for a negative base.
    int pow(int a, int b) {
        if (both_constant(a, b)) return constant(std::pow(value(a), value(b)));
        if (is(b, 1)) return a;
        if (is_constant(b) && value(b) == std::rint(value(b)) && std::abs(value(b)) <= max_whole_exponent)
            return intern({Op::power, a, static_cast<int>(value(b)), 0, mask(a)});
        return exp(mul(b, log(a)));
    }

  private:
    double value(int id) const { return (*this)[id].value; }
    bool both_constant(int a, int b) const { return is_constant(a) && is_constant(b); }
    int unary(Op op, int a) { return intern({op, a, -1, 0, mask(a)}); }
    int binary(Op op, int a, int b) { return intern({op, a, b, 0, mask(a) | mask(b)}); }

    int intern(const Node& node) {
        for (int id = 0; id < size(); ++id) {
            const Node& known = (*this)[id];
            if (known.op == node.op && known.a == node.a && known.b == node.b &&
                (known.value == node.value || (std::isnan(known.value) && std::isnan(node.value))))
                return id;
        }
        nodes_.push_back(node);
        return size() - 1;
    }

    std::vector<Node> nodes_;
};

}  // namespace a4nn
