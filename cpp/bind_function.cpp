#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "function.hpp"

namespace py = pybind11;
using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

namespace {

std::vector<a4nn::Range> ranges(const std::vector<double>& lower, const std::vector<double>& upper,
                                const std::vector<double>& origins, const std::vector<std::vector<double>>& starts) {
    if (lower.size() != upper.size() || lower.size() != origins.size() || lower.size() != starts.size())
        throw std::invalid_argument("lower, upper, origins and starts differ in length");
    std::vector<a4nn::Range> out(lower.size());
    for (std::size_t i = 0; i < lower.size(); ++i) out[i] = {lower[i], upper[i], origins[i], starts[i]};
    return out;
}

// Values, or values and derivatives, of the whole function at points x.
py::array_t<double> evaluate(const a4nn::Function& function, const std::vector<double>& parameters, const Array& x,
                             bool derivatives) {
    const auto count = static_cast<py::ssize_t>(function.names().size());
    if (static_cast<py::ssize_t>(parameters.size()) != count)
        throw std::invalid_argument("expected " + std::to_string(count) + " parameters but got " +
                                    std::to_string(parameters.size()));
    const py::ssize_t points = x.size();
    py::array_t<double> out = derivatives ? py::array_t<double>({points, count}) : py::array_t<double>(points);
    if (points == 0) return out;
    a4nn::Machine machine;
    machine.prepare(function.whole(), {x.data(), static_cast<std::size_t>(points)});
    machine.evaluate(parameters.data(), derivatives);
    const int root = function.whole().root(0);
    const bool vector = machine.is_vector(root);
    double* to = out.mutable_data();
    for (py::ssize_t i = 0; i < points; ++i) {
        if (!derivatives) to[i] = vector ? machine.values(root)[i] : machine.number(root);
        else
            for (int k = 0; k < static_cast<int>(count); ++k)
                to[i * count + k] = !machine.depends(root, k) ? 0.0
                                    : vector                  ? machine.derivatives(root, k)[i]
                                                              : machine.number_derivative(root, k);
    }
    return out;
}

}  // namespace

void bind_function(py::module_& m) {
    py::register_exception<a4nn::ExpressionError>(m, "ExpressionError", PyExc_ValueError);

    py::class_<a4nn::Function>(m, "Function")
        .def(py::init([](const std::string& expression, std::vector<std::string> parameters,
                         const std::vector<double>& lower, const std::vector<double>& upper,
                         const std::vector<double>& origins, const std::vector<std::vector<double>>& starts) {
                 return a4nn::Function(expression, std::move(parameters), ranges(lower, upper, origins, starts));
             }),
             py::arg("expression"), py::arg("parameters") = std::vector<std::string>{},
             py::arg("lower") = std::vector<double>{}, py::arg("upper") = std::vector<double>{},
             py::arg("origins") = std::vector<double>{}, py::arg("starts") = std::vector<std::vector<double>>{})
        .def_property_readonly("parameters", [](const a4nn::Function& f) { return f.names(); })
        .def_property_readonly("linear",
                               [](const a4nn::Function& f) {
                                   std::vector<std::string> out;
                                   for (const auto& l : f.separated().linear)
                                       out.push_back(f.names()[static_cast<std::size_t>(l.parameter)]);
                                   return out;
                               })
        .def_property_readonly("uses_variable", &a4nn::Function::uses_variable)
        .def(
            "evaluate",
            [](const a4nn::Function& f, const std::vector<double>& p, const Array& x) {
                return evaluate(f, p, x, false);
            },
            py::arg("parameters"), py::arg("x"))
        .def(
            "jacobian",
            [](const a4nn::Function& f, const std::vector<double>& p, const Array& x) {
                return evaluate(f, p, x, true);
            },
            py::arg("parameters"), py::arg("x"));
}
