// Many functions and many curves at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "fit.hpp"
#include "parallel.hpp"

namespace a4nn {

// Fit every function to every curve and call store(curve, function, result) for each pair, from any thread. Epoch i of
// a curve has x = first + i, with one `first` per function. Work is distributed curve by curve; fits are independent,
// so that the number of threads changes no result.
template <class Store>
void fit_batch(std::span<const Function* const> functions, std::span<const double> first,
               std::span<const std::span<const double>> curves, const FitOptions& options, std::size_t threads,
               const Store& store) {
    std::size_t longest = 0;
    for (const auto& curve : curves) longest = std::max(longest, curve.size());
    std::vector<std::vector<double>> x(functions.size(), std::vector<double>(longest));
    for (std::size_t f = 0; f < functions.size(); ++f)
        for (std::size_t i = 0; i < longest; ++i) x[f][i] = first[f] + static_cast<double>(i);
    in_parallel(curves.size(), threads, [&] {
        return [&, fitter = Fitter()](std::size_t c) mutable {
            for (std::size_t f = 0; f < functions.size(); ++f)
                store(c, f, fitter.fit(*functions[f], {x[f].data(), curves[c].size()}, curves[c], {}, options));
        };
    });
}

}  // namespace a4nn
