#!/usr/bin/env bash
# Inlay as a subdirectory of another project: it gets the runtime's targets, and none of its settings change.
#   subdirectory.sh SOURCE_DIR CXX
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir "$work/app"
cat > "$work/app/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.22)
project(app LANGUAGES CXX)
include(FetchContent)
FetchContent_Declare(inlay SOURCE_DIR "$1")
FetchContent_MakeAvailable(inlay)
foreach(target inlay::runtime inlay::runtime_static)
  if(NOT TARGET \${target})
    message(FATAL_ERROR "there is no \${target}")
  endif()
endforeach()
foreach(target inlay inlay_converter tests_engine bench_kernels)
  if(TARGET \${target})
    message(FATAL_ERROR "\${target} is built too")
  endif()
endforeach()
foreach(variable CMAKE_CXX_STANDARD CMAKE_CXX_VISIBILITY_PRESET CMAKE_POSITION_INDEPENDENT_CODE CMAKE_CXX_COMPILER_LAUNCHER)
  if(DEFINED \${variable})
    message(FATAL_ERROR "\${variable} leaks: \${\${variable}}")
  endif()
endforeach()
get_directory_property(options COMPILE_OPTIONS)
if(options)
  message(FATAL_ERROR "compile options leak: \${options}")
endif()
file(WRITE "\${CMAKE_BINARY_DIR}/main.cpp" "#include <inlay/inlay.hpp>\nint main() { return inlay_version() == 0; }\n")
add_executable(app "\${CMAKE_BINARY_DIR}/main.cpp")
target_link_libraries(app PRIVATE inlay::runtime)
install(TARGETS app)
END
cmake -S "$work/app" -B "$work/build" -G Ninja -DCMAKE_CXX_COMPILER="$2" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
# What would be installed is the app alone; compiling all of the runtime again is left out.
ninja -C "$work/build" -t targets all | grep 'libinlay.so' > /dev/null || { echo "the runtime is not built"; exit 1; }
if grep -rq 'libinlay' "$work/build/cmake_install.cmake" "$work/build"/_deps/inlay-build/cmake_install.cmake; then echo "inlay is installed with the app"; exit 1; fi
echo "inlay::runtime and inlay::runtime_static, and no setting of the app changed"
