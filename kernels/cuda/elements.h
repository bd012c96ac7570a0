// Elements of any type, moved as words of their size.
#pragma once
#include "kernels/cuda/device.h"

namespace kernels::cuda {
inline bool is_word(int bytes) { return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8; }
// Calls f with a word of so many bytes.
template <class F> Failure with_word(int bytes, F&& f) {
  switch (bytes) {
    case 1: return f(uint8_t{});
    case 2: return f(uint16_t{});
    case 4: return f(uint32_t{});
    default: return f(uint64_t{});
  }
}
}  // namespace kernels::cuda
