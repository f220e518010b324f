// Each subject of the extension is bound in a file of its own.
#pragma once

#include <pybind11/pybind11.h>

void bind_function(pybind11::module_& m);
void bind_fit(pybind11::module_& m);
