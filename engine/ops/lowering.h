// How products, convolutions and recurrent nets ask for kernels.
#pragma once
#include "engine/op.h"

namespace engine {
std::optional<Lowered> lower_mat_mul(const schema::MatMul&, const LowerContext&);
std::optional<Lowered> lower_conv_last(const schema::ConvLast&, const LowerContext&);
std::optional<Lowered> lower_fused(const LowerContext&);
std::optional<Lowered> lower_rnn(const schema::Rnn&, const LowerContext&);
}  // namespace engine
