// What the tests share: checks that count failures, and the curves and functions of several of them.
#pragma once

#include <cmath>
#include <cstdio>
#include <vector>

#include "../function.hpp"

inline int failures = 0;

inline void check(bool holds, const char* what, const char* file, int line) {
    if (holds) return;
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what);
    ++failures;
}
#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)

inline bool near(double a, double b, double relative) { return std::abs(a - b) <= relative * (1 + std::abs(b)); }

inline a4nn::Function published_default() {
    std::vector<a4nn::Range> ranges(3);
    ranges[0].lower = 0.5;
    ranges[0].upper = 200;
    ranges[1].lower = ranges[1].origin = 1;
    for (double k = -6.5; k < 4.5; k += 1) ranges[1].starts.push_back(1 + std::exp(k));
    ranges[2].lower = 0;
    return a4nn::Function("a - b**(c - x)", {"a", "b", "c"}, ranges);
}

inline std::vector<double> epochs(std::size_t count, double first = 0) {
    std::vector<double> x(count);
    for (std::size_t i = 0; i < count; ++i) x[i] = first + static_cast<double>(i);
    return x;
}

void test_parts();  // test_parts.cpp
