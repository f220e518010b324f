#!/usr/bin/env bash
# The C++ core's own tests and fuzz under AddressSanitizer and UndefinedBehaviorSanitizer.
# Usage: tools/test_cpp.sh [SEED [ROUNDS]]
set -euo pipefail
cd "$(dirname "$0")/.."
# Not optimised: nothing undefined is optimised away, and it compiles in a third of the time. Warnings that need
# the optimiser are errors where tests/test_package.py builds the package.
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"${CXX:-g++}" -std=c++20 -O0 -g -Wall -Wextra -Werror -fno-math-errno -ffp-contract=off \
    -fsanitize=address,undefined -fno-sanitize-recover=all -pthread cpp/tests/*.cpp -o "$out/test_fit"
"$out/test_fit" "$@"
