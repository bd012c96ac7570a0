// How products and convolutions ask for kernels.
#pragma once
#include "engine/op.h"

namespace engine {
std::optional<Lowered> lower_mat_mul(const schema::MatMul&, const LowerContext&);
std::optional<Lowered> lower_conv_last(const schema::ConvLast&, const LowerContext&);
}  // namespace engine
