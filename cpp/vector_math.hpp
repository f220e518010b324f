// exp and log over an array, written so that the compiler vectorises them. A mathematics library has several versions
// of each and chooses one by the processor; these return the same bits on all processors.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace a4nn {

inline constexpr double infinity = std::numeric_limits<double>::infinity();

// Arrays over points are padded to a multiple of this, so that loops over them have no tail.
inline constexpr std::size_t lanes = 8;

// exp(x) = 2^k exp(r), |r| <= ln(2)/2, with a Taylor polynomial of degree 13: within 2 units in the last place.
// Beyond the range of a double it returns 0 or infinity; NaN stays NaN.
[[gnu::always_inline]] inline double exp_one(double x) {
    constexpr double log2e = 1.4426950408889634, ln2_high = 6.93147180369123816490e-01,
                     ln2_low = 1.90821492927058770002e-10;
    constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to a whole number
    const double clipped = x < -708.0 ? -708.0 : x > 709.0 ? 709.0 : x;
    const double shifted = clipped * log2e + shift;
    const double k = shifted - shift;
    const double r = (clipped - k * ln2_high) - k * ln2_low;
    // Estrin's scheme: short dependency chains, because latency takes most of the time
    const double r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    const double p0 = (1.0 + r) + (0.5 + 1.0 / 6.0 * r) * r2;
    const double p4 = (1.0 / 24.0 + 1.0 / 120.0 * r) + (1.0 / 720.0 + 1.0 / 5040.0 * r) * r2;
    const double p8 = (1.0 / 40320.0 + 1.0 / 362880.0 * r) + (1.0 / 3628800.0 + 1.0 / 39916800.0 * r) * r2;
    const double p12 = 1.0 / 479001600.0 + 1.0 / 6227020800.0 * r;
    const double p = (p0 + p4 * r4) + (p8 + p12 * r4) * r8;
    // the low bits of the shifted number are k; put it into the exponent field
    const auto bits = std::bit_cast<std::uint64_t>(shifted) - std::bit_cast<std::uint64_t>(shift);
    const double scale = std::bit_cast<double>((bits + 1023u) << 52);
    const double result = p * scale;
    return x < -708.0 ? 0.0 : x > 709.0 ? infinity : result;
}

// log(2^k m) = k ln(2) + log(m), sqrt(1/2) <= m < sqrt(2), with the polynomial of fdlibm (e_log.c, Sun Microsystems
// 1993): within 1 unit in the last place. Of 0 it gives minus infinity, of less NaN.
[[gnu::always_inline]] inline double log_one(double x) {
    constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    constexpr double two52 = 4503599627370496.0;
    const bool small = x < std::numeric_limits<double>::min();
    const auto bits = std::bit_cast<std::uint64_t>(small ? x * 18014398509481984.0 : x);  // 2^54
    const double whole = std::bit_cast<double>((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    const bool upper = whole > 1.4142135623730951;
    const double m = upper ? 0.5 * whole : whole;
    // the exponent field, turned into a number by way of the bits of 2^52
    const double field = std::bit_cast<double>((bits >> 52) | 0x4330000000000000u) - two52;
    const double k = field - (small ? 1077.0 : 1023.0) + (upper ? 1.0 : 0.0);
    const double f = m - 1.0, s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
    const double z2 = z * z, z4 = z2 * z2;
    const double low = (6.666666666666735130e-01 + 3.999999999940941908e-01 * z) +
                       (2.857142874366239149e-01 + 2.222219843214978396e-01 * z) * z2;
    const double high = (1.818357216161805012e-01 + 1.531383769920937332e-01 * z) + 1.479819860511658591e-01 * z2;
    const double p = low + high * z4;
    const double result = k * ln2_high - ((half - (s * (half + p * z) + k * ln2_low)) - f);
    const double of_rest = x == 0 ? -infinity : x == infinity ? infinity : std::numeric_limits<double>::quiet_NaN();
    return x > 0 && x < infinity ? result : of_rest;
}

// Where compiler and loader support it, a loop exists twice and the better one for the processor is chosen at load time.
// Both do the same operations on a value, and no product is fused with a sum, so their results have the same bits.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define A4NN_FOR_PROCESSOR [[gnu::target_clones("avx2", "default")]] [[maybe_unused]] static
#else
#define A4NN_FOR_PROCESSOR inline
#endif

A4NN_FOR_PROCESSOR void exp_all(const double* x, double* out, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) out[i] = exp_one(x[i]);
}

A4NN_FOR_PROCESSOR void log_all(const double* x, double* out, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) out[i] = log_one(x[i]);
}

inline double integer_power(double base, int exponent) {
    double result = 1;
    for (unsigned left = static_cast<unsigned>(exponent < 0 ? -exponent : exponent); left; left >>= 1, base *= base)
        if (left & 1u) result *= base;
    return exponent < 0 ? 1 / result : result;
}

}  // namespace a4nn
