// exp over an array, written so that the compiler turns it into vector instructions.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace a4nn {

// exp(x) = 2^k exp(r), |r| <= ln(2)/2, with a Taylor polynomial of degree 13: within 2 units in the last place.
// Beyond the range of a double it gives 0 or infinity; NaN stays NaN.
inline double exp_one(double x) {
    constexpr double log2e = 1.4426950408889634, ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to a whole number
    const double clipped = x < -708.0 ? -708.0 : x > 709.0 ? 709.0 : x;
    const double shifted = clipped * log2e + shift;
    const double k = shifted - shift;
    const double r = (clipped - k * ln2_high) - k * ln2_low;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    // the low bits of the shifted number are k; put it into the exponent field
    const auto bits = std::bit_cast<std::uint64_t>(shifted) - std::bit_cast<std::uint64_t>(shift);
    const double scale = std::bit_cast<double>((bits + 1023u) << 52);
    const double result = p * scale;
    return x < -708.0 ? 0.0 : x > 709.0 ? std::numeric_limits<double>::infinity() : result;
}

inline void exp_all(const double* x, double* out, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) out[i] = exp_one(x[i]);
}

inline double integer_power(double base, int exponent) {
    double result = 1;
    for (unsigned left = static_cast<unsigned>(exponent < 0 ? -exponent : exponent); left; left >>= 1, base *= base)
        if (left & 1u) result *= base;
    return exponent < 0 ? 1 / result : result;
}

}  // namespace a4nn
