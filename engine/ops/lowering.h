// How products, convolutions and recurrent nets ask for kernels.
#pragma once
#include "engine/ops/pointwise.h"
#include "engine/packing.h"
#include "kernels/conv/conv.h"
#include "kernels/rnn/rnn.h"

namespace engine {
bool inputs_are_f32(const LowerContext&);
std::optional<Lowered> lower_mat_mul(const schema::MatMul&, const LowerContext&);
std::optional<Lowered> lower_conv_last(const schema::ConvLast&, const LowerContext&);
bool is_product_of_bytes(const Graph&, const Node&);  // whether the next two take the node, where kernels for bytes pay
std::optional<Lowered> lower_quantized_mat_mul(const schema::QuantizedMatMul&, const LowerContext&);
std::optional<Lowered> lower_quantized_conv(const schema::QuantizedConv&, const LowerContext&);
// A kernel for a convolution with constant weights, and what it needs.
struct PreparedConv {
  kernels::conv::Spec spec;
  std::string_view name;
  kernels::conv::Kernel kernel;
  PackedWeight packed;
  int64_t batch, height;
};
std::optional<PreparedConv> prepare_conv(const schema::ConvLast&, const LowerContext&, const Chained& epilogue, bool by_rows = false);
// With a chain on the result.
std::optional<Lowered> lower_mat_mul(const schema::MatMul&, const LowerContext&, const Chained& epilogue);
std::optional<Lowered> lower_conv_last(const schema::ConvLast&, const LowerContext&, const Chained& epilogue);
// The same on a device (device_products.cpp).
std::optional<Lowered> lower_mat_mul_on_device(const schema::MatMul&, const LowerContext&, const Chained& epilogue);
std::optional<Lowered> lower_conv_last_on_device(const schema::ConvLast&, const LowerContext&, const Chained& epilogue);
// The problem that a convolution's kernels are asked for; none: a number is too large for them. Its weights are constant.
std::optional<kernels::conv::Spec> conv_spec(const schema::ConvLast&, const LowerContext&, const kernels::pointwise::Chain& epilogue);
// The first node of a Fused, on the inputs of the node itself; its output is as large.
Node anchor_of(const Node& fused);
// Its parts, of a node that may be fused or not.
const Op& anchor_op(const Node& node);
ValueId anchor_input(const Node& node, size_t k);
// What the further nodes do to its result, if kernels can. `c` is of the Fused.
std::optional<Chained> epilogue_of(const LowerContext& c);
// A Fused whose nodes are convolutions, each on the result of the one before.
bool is_strips(const Graph& body);
std::optional<Lowered> lower_strips(const LowerContext&);
bool strips_take_pitch(const Graph&, const Node&, int port);
std::optional<Lowered> lower_rnn(const schema::Rnn&, const LowerContext&);
std::optional<Lowered> lower_rnn_on_device(const schema::Rnn&, const kernels::rnn::Spec&, const LowerContext&);
}  // namespace engine
