#!/usr/bin/env bash
# Builds everything and runs all tests. Arguments go to ctest:  ./tools/test.sh -R kernels
# PRESET=asan (release, debug, asan, tsan, aarch64) chooses the build, BUILD_DIR where it lies, TARGET=emulated a part of it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
preset=${PRESET:-release}
build=$(realpath -m "${BUILD_DIR:-$root/build/$preset}")
jobs=$(nproc)

case $preset in
  aarch64) "$root/tools/setup.sh" aarch64 ;;
  *) "$root/tools/setup.sh" ;;
esac
cd "$root"
cmake --preset "$preset" -B "$build"
cmake --build "$build" --parallel "$jobs" --target "${TARGET:-all}"
exec ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel "$jobs" "$@"
