// The CUDA backend of tests: the one that the host emulates, or what $INLAY_TEST_CUDA names, on a machine with a GPU.
#pragma once
#include <cstdlib>

inline const char* backend_of_tests() {
  const char* given = std::getenv("INLAY_TEST_CUDA");
  return given && *given ? given : INLAY_CUDA_EMULATED;
}
