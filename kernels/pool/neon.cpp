// The row of pooling in half precision.
#if defined(__aarch64__)
#include "kernels/pool/neon_fp16.h"

namespace kernels::pool::neon_fp16 {
Support supports(const Spec& spec) {
  if (spec.kept_x != schema::DType::f16 || spec.kept_y != schema::DType::f16) return {0, "x and y are not kept as half"};
  return {16.0 / 8, invalid(spec, true)};
}
Kernel make(const Spec& spec) { return {spec, spec.kind == schema::PoolKind::max ? half_maximum : half_average}; }
}  // namespace kernels::pool::neon_fp16
#endif
