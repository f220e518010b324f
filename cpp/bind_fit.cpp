#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <chrono>

#include "bindings.hpp"
#include "fit.hpp"

namespace py = pybind11;
using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

namespace {

std::span<const double> span(const Array& array) { return {array.data(), static_cast<std::size_t>(array.size())}; }

a4nn::FitOptions options(const std::string& loss, double scale, int max_evaluations) {
    a4nn::FitOptions out;
    if (loss == "huber") out.loss = a4nn::Loss::huber;
    else if (loss == "soft_l1") out.loss = a4nn::Loss::soft_l1;
    else if (loss != "squares") throw std::invalid_argument("no loss is named '" + loss + "'; known: squares, huber, soft_l1");
    if (!(scale > 0)) throw std::invalid_argument("scale = " + std::to_string(scale) + " is not above zero");
    if (max_evaluations < 1) throw std::invalid_argument("max_evaluations = " + std::to_string(max_evaluations) + " is below one");
    out.scale = scale;
    out.max_evaluations = max_evaluations;
    return out;
}

// The buffers of a thread's last fit serve its next one.
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

}  // namespace

void bind_fit(py::module_& m) {
    // word and sentence of every status, in the order of the numbers that fits return
    py::list statuses;
    for (const auto& text : a4nn::status_texts) statuses.append(py::make_tuple(text.word, text.sentence));
    m.attr("STATUSES") = py::tuple(statuses);

    m.def("fit", &fit, py::arg("function"), py::arg("x"), py::arg("y"), py::arg("weights") = Array(0),
          py::arg("loss") = "squares", py::arg("scale") = 1.0, py::arg("max_evaluations") = 2000);
}
