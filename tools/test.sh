#!/usr/bin/env bash
# Builds everything and runs all tests. Arguments go to ctest:  ./tools/test.sh -R kernels
# PRESET=asan (release, debug, asan, tsan) chooses the build, BUILD_DIR where it lies.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
preset=${PRESET:-release}
build=$(realpath -m "${BUILD_DIR:-$root/build/$preset}")
jobs=$(nproc)

"$root/tools/setup.sh"
cd "$root"
cmake --preset "$preset" -B "$build"
cmake --build "$build" --parallel "$jobs"
exec ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel "$jobs" "$@"
