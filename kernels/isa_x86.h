// What decides between rows of the x86 clusters beside the instructions that a CPU has.
#pragma once

namespace kernels::isa {
// Whether vectors of 512 bits are computed in two halves (AMD Zen 4): a multiply-add of one takes as long as two of 256 bits.
bool halves_512();
}  // namespace kernels::isa
