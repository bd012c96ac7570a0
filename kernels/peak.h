// What this machine can do, as measured: what kernels are judged by. Clocks drift and hosts are shared, so it is
// measured next to whatever it is compared with. All are of the pool's threads together, the best of some rounds; 0
// where there is no memory for it.
#pragma once
#include "kernels/isa.h"
#include "kernels/precision.h"
#include "kernels/threads.h"

namespace kernels {
inline constexpr double peak_seconds = 0.05;  // how long each measures

// Operations per second of multiply-adds on registers alone, with the widest vectors of `isa`: of f32, or of halves where it computes
// in those. Each counts as two.
double peak_flops(isa::Mask, ThreadPool&, double seconds = peak_seconds, Precision = Precision::f32);
// Bytes read per second of a buffer that is too large for a cache, and of one that a second-level cache holds.
double memory_bandwidth(isa::Mask, ThreadPool&, double seconds = peak_seconds);
double cache_bandwidth(isa::Mask, ThreadPool&, double seconds = peak_seconds);
}  // namespace kernels
