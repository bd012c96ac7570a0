#include "kernels/rnn/rnn.h"

namespace kernels::rnn {
std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/rnn/kernels.inc"
  };
  return table;
}
Choice select(const Spec& spec, isa::Mask have) { return choose<Spec, Kernel>(rows(), spec, have); }
}  // namespace kernels::rnn
