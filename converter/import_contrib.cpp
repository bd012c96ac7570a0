// ONNX Runtime's own ops, which its optimiser and exporters put into models.
#include "converter/shared.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::UnaryKind;

// Fused activations take an optional bias.
template <UnaryKind kind> void gelu(OnnxNode& n) {
  n.expect_inputs(1, 2);
  const ValueId x = n.has(1) ? n.binary(BinaryKind::add, n.in(0), n.in(1)) : n.in(0);
  n.finish(schema::Unary{kind}, {x});
}
void quick_gelu(OnnxNode& n) { n.finish(schema::Unary{UnaryKind::silu, n.real("alpha", 1.702f)}, n.all()); }

void fused_matmul(OnnxNode& n) {
  n.expect_inputs(2, 2);
  require(!n.flag("transBatchA", false) && !n.flag("transBatchB", false), Code::unsupported,
          "transposed batches are not supported");
  const double alpha = n.real("alpha", 1);
  // A vector stays as it is.
  const auto trans = [&](const char* name, size_t k) { return n.flag(name, false) && n.rank(k) > 1; };
  const ValueId y = n.add(schema::MatMul{trans("transA", 0), trans("transB", 1)}, n.all());
  n.set(0, alpha == 1 ? y : n.binary(BinaryKind::mul, y, alpha));
}

void simplified_layer_norm(OnnxNode& n) {
  n.expect_inputs(2, 2);
  n.ignore({"stash_type"});
  n.finish(schema::LayerNorm{n.integer("axis", -1), n.real("epsilon", 1e-5f), true}, n.all());
}

// Inputs: x, skip, scale, [bias of the norm unless rms], [bias of the sum]. Outputs: y, mean, 1 / deviation, the sum.
template <bool rms> void skip_layer_norm(OnnxNode& n) {
  n.expect_inputs(3, rms ? 4 : 5);
  const schema::LayerNorm op{-1, n.real("epsilon", 1e-5f), rms};
  const size_t bias = rms ? 3 : 4;
  ValueId sum = n.binary(BinaryKind::add, n.in(0), n.in(1));
  if (n.has(bias)) sum = n.binary(BinaryKind::add, sum, n.in(bias));
  const size_t statistics = n.wants(2) ? 2 : n.wants(1) ? 1 : 0;
  require(!rms || !statistics, Code::unsupported, "the statistics are not supported as outputs");
  const ValueIds out = n.add_all(op, {sum, n.in(2), rms ? ValueId::none : n.in(3)}, 1 + statistics);
  for (size_t k = 0; k < out.size(); ++k) n.set(k, out[k]);
  n.set(3, sum);
}

void group_query_attention(OnnxNode& n) {
  schema::GroupQueryAttention op;
  op.heads = n.integer("num_heads");
  op.kv_heads = n.integer("kv_num_heads");
  op.window = n.integer("local_window_size", -1);
  op.scale = n.real("scale", 0);
  op.softcap = n.real("softcap", 0);
  op.rotary = n.flag("do_rotary", false);
  op.interleaved = n.flag("rotary_interleaved", false);
  op.causal = n.flag("causal", true);
  op.smooth = n.integer("smooth_softmax", 0) > 0;
  op.sliding = n.flag("sliding_window_cache", false);
  op.scores = n.integer("qk_output", 0);
  const double epsilon = n.real("qk_norm_epsilon", 1e-6);
  op.q_epsilon = n.real("q_norm_epsilon", epsilon), op.k_epsilon = n.real("k_norm_epsilon", epsilon);
  const int64_t bits = n.integer("kv_cache_bit_width", 0);
  bool quantised = false;
  for (const char* type : {"k_quant_type", "v_quant_type"}) quantised |= n.text(type, "NONE") != "NONE";
  check(!quantised || (n.has(3) && n.has(12) && n.has(13)), "a quantised cache needs a past and scales");
  if (quantised) check(n.dtype(3) == DType::u8 ? bits == 4 : bits == 0 || bits == 8, "a cache of ", name(n.dtype(3)), " has no numbers of ", bits, " bits");
  check(op.heads > 0 && op.kv_heads > 0 && op.heads % op.kv_heads == 0, op.heads, " heads do not divide into ",
        op.kv_heads, " groups");
  check(n.has(0) && n.has(5) && n.has(6), "inputs 0, 5 and 6 must be there");
  ValueId q = n.in(0), k = n.in(1), v = n.in(2);
  if (k == ValueId::none) {  // packed: the heads of q, k and v one after the other
    const int64_t all = op.heads + 2 * op.kv_heads, width = n.extent(q, 2);
    check(width % all == 0, "a width of ", width, " does not hold ", all, " heads");
    const int64_t d = width / all;
    const ValueIds parts =
        n.add_all(schema::Split{2, 0}, {q, n.ints({op.heads * d, op.kv_heads * d, op.kv_heads * d})}, 3);
    q = parts[0], k = parts[1], v = parts[2];
  }
  const ValueIds out = n.add_all(op, {q, k, v, n.in(3), n.in(4), n.in(5), n.in(6), n.in(7), n.in(8), n.in(9), n.in(10), n.in(11), n.in(14), n.in(15), n.in(16), quantised ? n.in(12) : ValueId::none, quantised ? n.in(13) : ValueId::none},
                                 std::max<size_t>(3, n.outputs()));
  for (size_t i = 0; i < out.size(); ++i) n.set(i, out[i]);
}

// The function that a fused op ends with; its parameters by name, or one list.
ValueId activated(OnnxNode& n, ValueId y) {
  const std::string name = n.text("activation", "");
  const std::vector<double> list = n.reals("activation_params");
  const auto param = [&](const char* of, size_t at, double fallback) { return at < list.size() ? list[at] : n.real(of, fallback); };
  const double alpha = param("activation_alpha", 0, name == "LeakyRelu" ? 0.01 : name == "HardSigmoid" ? 0.2 : name == "Elu" ? 1 : 0),
               beta = param("activation_beta", 1, 0.5), gamma = n.real("activation_gamma", 0);
  if (name.empty()) return y;
  if (name == "Relu") return n.unary(UnaryKind::relu, y);
  if (name == "Sigmoid") return n.unary(UnaryKind::sigmoid, y);
  if (name == "Tanh") return n.unary(UnaryKind::tanh, y);
  if (name == "LeakyRelu") return n.unary(UnaryKind::leaky_relu, y, alpha);
  if (name == "HardSigmoid") return n.unary(UnaryKind::hard_sigmoid, y, alpha, beta);
  if (name == "Elu") return n.unary(UnaryKind::elu, y, alpha);
  if (name == "Softplus") return n.unary(UnaryKind::softplus, y);
  if (name == "Clip" && list.size() == 2) return n.unary(UnaryKind::clip, y, list[0], list[1]);
  fail(Code::unsupported, "activation '", name, "' with parameters ", alpha, ", ", beta, " and ", gamma, " is not supported");
}
// Inputs: those of Conv, and what is added before the activation.
void fused_conv(OnnxNode& n) {
  n.expect_inputs(2, 4);
  const ValueId y = n.add(conv_op(n), {n.in(0), n.in(1), n.in(2)});
  n.set(0, activated(n, n.has(3) ? n.binary(BinaryKind::add, y, n.in(3)) : y));
}
void fused_gemm(OnnxNode& n) { n.set(0, activated(n, gemm_of(n))); }

// Inputs: word ids, [segment ids], the tables of words, positions and [segments], scale, bias, [mask], [position ids].
// Outputs: y, the number of words per row that the mask has (i32), the sum before the norm.
void embed_layer_norm(OnnxNode& n) {
  check(n.inputs() >= 7 && n.inputs() <= 9, "expects 7 to 9 inputs, not ", n.inputs());
  n.ignore({"mask_index_type"});
  const auto rows = [&](ValueId table, ValueId ids) { return n.add(schema::Gather{0}, {table, ids}); };
  const ValueId words = n.in(0);
  const ValueId places = n.has(8) ? n.in(8) : n.positions(words, 1);
  ValueId sum = n.binary(BinaryKind::add, rows(n.in(2), words), rows(n.in(3), places));
  check(n.has(1) == n.has(4), "segment ids and their table come together");
  if (n.has(1)) sum = n.binary(BinaryKind::add, sum, rows(n.in(4), n.in(1)));
  n.set(0, n.add(schema::LayerNorm{-1, n.real("epsilon", 1e-12f)}, {sum, n.in(5), n.in(6)}));
  if (n.wants(1)) {
    const int64_t axis = 1;
    const ValueId none = n.add(schema::Expand{}, {n.scalar(DType::i32, 0), n.add(schema::Shape{0, 1}, {words})});
    n.set(1, n.has(7) ? n.reduce(schema::ReduceKind::sum, n.cast(n.in(7), DType::i32), std::span(&axis, 1), false) : none);
  }
  n.set(2, sum);
}

constexpr Row contrib_rows[] = {{"Gelu", gelu<UnaryKind::gelu>},
                                {"BiasGelu", gelu<UnaryKind::gelu>},
                                {"FastGelu", gelu<UnaryKind::gelu_tanh>},
                                {"QuickGelu", quick_gelu},
                                {"FusedMatMul", fused_matmul},
                                {"SimplifiedLayerNormalization", simplified_layer_norm},
                                {"SkipLayerNormalization", skip_layer_norm<false>},
                                {"SkipSimplifiedLayerNormalization", skip_layer_norm<true>},
                                {"EmbedLayerNormalization", embed_layer_norm},
                                {"FusedConv", fused_conv},
                                {"FusedGemm", fused_gemm},
                                {"GroupQueryAttention", group_query_attention}};
// ONNX Runtime writes this one into ONNX's own domain.
constexpr Row default_rows[] = {{"SimplifiedLayerNormalization", simplified_layer_norm}};
}  // namespace

Group contrib_group() { return {microsoft_domain, contrib_rows}; }
Group contrib_default_group() { return {onnx_domain, default_rows}; }
}  // namespace converter
