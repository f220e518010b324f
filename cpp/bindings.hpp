// Every subject of the extension has a file that binds it.
#pragma once

#include <pybind11/pybind11.h>

void bind_function(pybind11::module_& m);
void bind_fit(pybind11::module_& m);
