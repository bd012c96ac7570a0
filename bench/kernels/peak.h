// What this machine can do on one thread, as measured next to each benchmark: clocks drift.
#pragma once
#include "kernels/isa.h"

namespace bench {
// Measures the floating-point operations per second of a loop of multiply-adds on registers alone; 0 where it cannot be
// generated.
double peak_flops(kernels::isa::Mask);
}  // namespace bench
