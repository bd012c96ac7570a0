// What this machine can do on one thread, as measured next to each benchmark: clocks drift.
#pragma once
#include <cstddef>
#include "kernels/isa.h"

namespace bench {
// Measures the floating-point operations per second of a loop of multiply-adds on registers alone; 0 where it cannot be
// generated.
double peak_flops(kernels::isa::Mask);
// Measures the bytes per second, read and written, of memcpy over memory of this size in all.
double copy_bandwidth(size_t bytes);
}  // namespace bench
