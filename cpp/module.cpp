#include "bindings.hpp"

PYBIND11_MODULE(_lm, m, pybind11::mod_gil_not_used()) {
    m.doc() = "Bounded least squares fits of learning curves.";
    bind_function(m);
    bind_fit(m);
}
