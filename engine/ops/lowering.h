// How products, convolutions and recurrent nets ask for kernels.
#pragma once
#include "engine/ops/pointwise.h"

namespace engine {
std::optional<Lowered> lower_mat_mul(const schema::MatMul&, const LowerContext&);
std::optional<Lowered> lower_conv_last(const schema::ConvLast&, const LowerContext&);
// With a chain on the result.
std::optional<Lowered> lower_mat_mul(const schema::MatMul&, const LowerContext&, const Chained& epilogue);
std::optional<Lowered> lower_conv_last(const schema::ConvLast&, const LowerContext&, const Chained& epilogue);
std::optional<Lowered> lower_rnn(const schema::Rnn&, const LowerContext&);
}  // namespace engine
