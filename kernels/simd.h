// Before <hwy/foreach_target.h>: compiles a file once per Highway target that kernels.inc names, each into a namespace
// of its own (N_AVX2, N_AVX3, N_NEON). The baseline target is compiled too, and must define nothing: guard with
// INLAY_SIMD_TARGET. Inside a target's namespace only inline functions of Highway may be called by value: a function
// that the linker could share between targets would bring one target's instructions into another.
#pragma once
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#define INLAY_SIMD_TARGET (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON)
