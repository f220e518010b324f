#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "batch.hpp"
#include "bindings.hpp"

namespace py = pybind11;
using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

namespace {

std::span<const double> span(const Array& array) { return {array.data(), static_cast<std::size_t>(array.size())}; }

a4nn::FitOptions options(const std::string& loss, double scale, int max_evaluations) {
    a4nn::FitOptions out;
    if (loss == "huber") out.loss = a4nn::Loss::huber;
    else if (loss == "soft_l1") out.loss = a4nn::Loss::soft_l1;
    else if (loss != "squares")
        throw std::invalid_argument("no loss is named '" + loss + "'; known: squares, huber, soft_l1");
    if (!(scale > 0)) throw std::invalid_argument("scale = " + std::to_string(scale) + " is not above zero");
    if (max_evaluations < 1)
        throw std::invalid_argument("max_evaluations = " + std::to_string(max_evaluations) + " is below one");
    out.scale = scale;
    out.max_evaluations = max_evaluations;
    return out;
}

// Each thread reuses its buffers from fit to fit.
a4nn::Fitter& fitter() {
    thread_local a4nn::Fitter one;
    return one;
}

py::tuple fit(const a4nn::Function& function, const Array& x, const Array& y, const Array& weights,
              const std::string& loss, double scale, int max_evaluations) {
    if (x.ndim() != 1 || y.ndim() != 1 || x.size() != y.size() || (weights.size() != 0 && weights.size() != x.size()))
        throw std::invalid_argument("x, y and weights are not one-dimensional arrays of one length");
    const auto settings = options(loss, scale, max_evaluations);
    for (py::ssize_t i = 0; i < weights.size(); ++i)
        if (!(weights.data()[i] >= 0) || std::isinf(weights.data()[i]))
            throw std::invalid_argument("weight " + std::to_string(weights.data()[i]) + " is negative or not finite");
    a4nn::FitResult result;
    double microseconds = 0;
    {
        const py::gil_scoped_release release;
        const auto start = std::chrono::steady_clock::now();
        result = fitter().fit(function, span(x), span(y), span(weights), settings);
        microseconds = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    }
    py::list parameters;
    if (a4nn::has_parameters(result.status))
        for (std::size_t p = 0; p < function.names().size(); ++p) parameters.append(result.parameters[p]);
    return py::make_tuple(static_cast<int>(result.status), parameters, result.rms, result.evaluations, microseconds);
}

// Many curves and many functions at once; `values` is the concatenation of the curves.
py::tuple fit_many(const std::vector<const a4nn::Function*>& functions, const std::vector<double>& first,
                   const Array& values, const std::vector<std::size_t>& lengths, const std::string& loss, double scale,
                   int max_evaluations, int threads) {
    const auto settings = options(loss, scale, max_evaluations);
    const std::size_t count = functions.size();
    if (first.size() != count) throw std::invalid_argument("functions and first differ in length");
    if (threads < 1) throw std::invalid_argument("threads = " + std::to_string(threads) + " is below one");
    std::vector<std::span<const double>> curves;
    std::size_t taken = 0;
    for (std::size_t length : lengths) {
        if (length > static_cast<std::size_t>(values.size()) - taken) break;
        curves.emplace_back(values.data() + taken, length);
        taken += length;
    }
    if (curves.size() != lengths.size() || taken != static_cast<std::size_t>(values.size()))
        throw std::invalid_argument("the lengths do not add up to the number of values");
    const auto rows = static_cast<py::ssize_t>(curves.size()), columns = static_cast<py::ssize_t>(count);
    py::array_t<std::int8_t> status({rows, columns});
    py::array_t<double> parameters({rows, columns, static_cast<py::ssize_t>(a4nn::max_parameters)});
    py::array_t<double> rms({rows, columns});
    py::array_t<std::int32_t> evaluations({rows, columns});
    const auto store = [&, out_status = status.mutable_data(), out_parameters = parameters.mutable_data(),
                        out_rms = rms.mutable_data(), out_evaluations = evaluations.mutable_data()](
                           std::size_t c, std::size_t f, const a4nn::FitResult& result) {
        const std::size_t at = c * count + f;
        out_status[at] = static_cast<std::int8_t>(result.status);
        out_rms[at] = result.rms;
        out_evaluations[at] = result.evaluations;
        double* const out = out_parameters + at * a4nn::max_parameters;
        std::fill_n(out, a4nn::max_parameters, std::numeric_limits<double>::quiet_NaN());
        if (a4nn::has_parameters(result.status)) std::copy_n(result.parameters, functions[f]->names().size(), out);
    };
    {
        const py::gil_scoped_release release;
        a4nn::fit_batch(functions, first, curves, settings, static_cast<std::size_t>(threads), store);
    }
    return py::make_tuple(status, parameters, rms, evaluations);
}

}  // namespace

void bind_fit(py::module_& m) {
    // code and message of every status, in the order of the numbers that fits return
    py::list statuses;
    for (const auto& text : a4nn::status_texts) statuses.append(py::make_tuple(text.code, text.message));
    m.attr("STATUSES") = py::tuple(statuses);

    m.def("fit", &fit, py::arg("function"), py::arg("x"), py::arg("y"), py::arg("weights") = Array(0),
          py::arg("loss") = "squares", py::arg("scale") = 1.0, py::arg("max_evaluations") = 2000);

    m.def("fit_many", &fit_many, py::arg("functions"), py::arg("first"), py::arg("values"), py::arg("lengths"),
          py::arg("loss") = "squares", py::arg("scale") = 1.0, py::arg("max_evaluations") = 2000,
          py::arg("threads") = 1);
}
