#include <pybind11/pybind11.h>

PYBIND11_MODULE(_lm, m, pybind11::mod_gil_not_used()) { m.doc() = "Levenberg-Marquardt fits of learning curves."; }
