// Ops with a state: RNN, GRU and LSTM, LinearAttention and CausalConvWithState.
#include <algorithm>
#include "converter/onnx_node.h"

namespace converter {
namespace {
using schema::LinearAttentionRule, schema::RnnDirection, schema::RnnKind;

template <RnnKind kind, int gates> void rnn(OnnxNode& n) {
  constexpr bool lstm = kind == RnnKind::lstm;
  n.expect_inputs(3, lstm ? 8 : 6);
  n.ignore({"output_sequence"});  // opset 1 could leave out the first output, which is seen anyway
  schema::Rnn op;
  op.kind = kind;
  op.direction = n.choice<RnnDirection>("direction", "forward",
                                        {{"forward", RnnDirection::forward},
                                         {"reverse", RnnDirection::reverse},
                                         {"bidirectional", RnnDirection::bidirectional}});
  op.hidden = n.has_attribute("hidden_size") ? n.integer("hidden_size") : n.extent(n.in(2), 2);
  op.clip = n.real("clip", 0);
  op.activations = n.texts("activations");
  op.alpha = n.reals("activation_alpha");
  op.beta = n.reals("activation_beta");
  if (lstm) op.input_forget = n.flag("input_forget", false);
  if (kind == RnnKind::gru) op.linear_before_reset = n.flag("linear_before_reset", false);
  check(op.hidden > 0 && op.hidden <= limits::extent / gates, "attribute hidden_size is ", op.hidden);
  if (!n.integer("layout", 0)) return n.finish(op, n.all());

  // With layout 1 the batch comes first everywhere.
  ValueIds inputs = n.all();
  for (size_t k : {0, 5, 6})
    if (k < inputs.size() && inputs[k] != ValueId::none) inputs[k] = n.transpose(inputs[k], {1, 0, 2});
  const size_t outputs = std::max<size_t>(n.outputs(), 1);
  const ValueIds out = n.add_all(op, inputs, outputs);
  for (size_t k = 0; k < outputs; ++k)
    n.set(k, n.transpose(out[k], k == 0 ? schema::Ints{2, 0, 1, 3} : schema::Ints{1, 0, 2}));
}

void linear_attention(OnnxNode& n) {
  n.expect_inputs(3, 6);
  n.ignore({"chunk_size"});  // a hint to how it is computed
  schema::LinearAttention op;
  op.heads = n.integer("q_num_heads");
  op.kv_heads = n.integer("kv_num_heads");
  op.scale = n.real("scale", 0);
  op.rule = n.choice<LinearAttentionRule>("update_rule", "gated_delta",
                                          {{"linear", LinearAttentionRule::linear},
                                           {"gated", LinearAttentionRule::gated},
                                           {"delta", LinearAttentionRule::delta},
                                           {"gated_delta", LinearAttentionRule::gated_delta}});
  n.finish(op, n.all());
}

void causal_conv(OnnxNode& n) {
  n.expect_inputs(2, 4);
  const bool silu = n.choice<bool>("activation", "none", {{"none", false}, {"", false}, {"silu", true}, {"swish", true}});
  const ValueIds out = n.add_all(schema::CausalConvWithState{}, n.all(), std::max<size_t>(n.outputs(), 1));
  n.set(0, silu ? n.unary(schema::UnaryKind::silu, out[0], 1) : out[0]);
  if (out.size() > 1) n.set(1, out[1]);
}

constexpr Row recurrent_rows[] = {{"RNN", rnn<RnnKind::rnn, 1>},
                                  {"GRU", rnn<RnnKind::gru, 3>},
                                  {"LSTM", rnn<RnnKind::lstm, 4>},
                                  {"LinearAttention", linear_attention},
                                  {"CausalConvWithState", causal_conv}};
}  // namespace

Group recurrent_group() { return {onnx_domain, recurrent_rows}; }
}  // namespace converter
