// Attention and what surrounds it, as the products, masks and softmax that it is made of.
#include <cmath>
#include "converter/onnx_tensor.h"
#include "converter/shared.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::UnaryKind;

// [B,S,heads*D] → [B,S,heads,D]
ValueId unpack_heads(OnnxNode& n, ValueId v, int64_t heads) {
  const Dim width = n.type(v).dims[2];
  check(!width.known() || width.value() % heads == 0, "a width of ", width.text(), " does not hold ", heads, " heads");
  return n.reshape(v, {0, 0, heads, width.known() ? width.value() / heads : -1});
}
}  // namespace

ValueId split_heads(OnnxNode& n, ValueId v, int64_t heads) {
  if (n.rank(v) == 4) return v;
  check(n.rank(v) == 3 && heads > 0, "needs inputs of rank 3 and their numbers of heads, or of rank 4");
  return n.transpose(unpack_heads(n, v, heads), {0, 2, 1, 3});
}
ValueId repeat_heads(OnnxNode& n, ValueId v, ValueId q) {
  const Dim groups = n.type(v).dims[1], heads = n.type(q).dims[1];
  const auto expand = [&](ValueId shape) { return n.add(schema::Expand{}, {n.unsqueeze(v, {2}), shape}); };
  if (groups.known() && heads.known()) {
    check(groups.value() > 0 && heads.value() % groups.value() == 0, heads.text(), " query heads do not share ",
          groups.text(), " key heads");
    const int64_t times = heads.value() / groups.value();
    if (times == 1) return v;
    const Dim width = n.type(v).dims[3];
    if (width.known()) return n.reshape(expand(n.ints({1, 1, times, 1, 1})), {0, heads.value(), -1, width.value()});
  }
  const ValueId all = n.add(schema::Shape{1, 2}, {q}), ones = n.ints({1, 1});
  const ValueId times = n.binary(BinaryKind::div, all, n.add(schema::Shape{1, 2}, {v}));
  const ValueId shape =
      n.add(schema::Concat{}, {n.add(schema::Shape{0, 1}, {v}), all, n.add(schema::Shape{2, 4}, {v})});
  return n.add(schema::Reshape{}, {expand(n.add(schema::Concat{}, {ones, times, ones})), shape});
}
ValueId join_heads(OnnxNode& n, ValueId v) { return n.reshape(n.transpose(v, {0, 2, 1, 3}), {0, 0, -1}); }
ValueId causal_mask(OnnxNode& n, ValueId q, ValueId k, ValueId past) {
  const ValueId place = n.binary(BinaryKind::add, n.positions(q, 2), past);
  return n.binary(BinaryKind::less_equal, n.positions(k, 2), n.unsqueeze(place, {1}));
}

namespace {
struct Mask {
  ValueId allowed = ValueId::none;  // boolean
  ValueId bias = ValueId::none;
  void restrict(OnnxNode& n, ValueId condition) {
    allowed = allowed == ValueId::none ? condition : n.binary(BinaryKind::logical_and, allowed, condition);
  }
};

// `keys`: [B,heads,T,D], past ones included. The mask broadcasts to [B,heads,S,T].
Mask attention_mask(OnnxNode& n, ValueId q, ValueId keys) {
  Mask mask;
  const bool causal = n.flag("is_causal", false);
  const int64_t left = n.integer("left_window_size", -1), right = n.integer("right_window_size", -1);
  const ValueId key = n.positions(keys, 2);  // [T]
  const ValueId lengths =
      n.has(6) ? n.add(schema::Unsqueeze{}, {n.cast(n.in(6), DType::i64), n.ints({1, 2, 3})}) : ValueId::none;
  if (causal || left >= 0 || right >= 0) {
    ValueId position = n.unsqueeze(n.positions(q, 2), {1});  // [S,1], then where the queries start
    if (n.has(4)) position = n.binary(BinaryKind::add, position, n.extent_at_run(n.in(4), 2));
    else if (n.has(6))
      position = n.binary(BinaryKind::add, position, n.binary(BinaryKind::sub, lengths, n.extent_at_run(q, 2)));
    if (causal) mask.restrict(n, n.binary(BinaryKind::less_equal, key, position));
    if (left >= 0)
      mask.restrict(n, n.binary(BinaryKind::greater_equal, key, n.binary(BinaryKind::sub, position, double(left))));
    if (right >= 0)
      mask.restrict(n, n.binary(BinaryKind::less_equal, key, n.binary(BinaryKind::add, position, double(right))));
  }
  if (n.has(6)) mask.restrict(n, n.binary(BinaryKind::less, key, lengths));
  if (!n.has(3)) return mask;
  // A mask may end before the keys do: the rest is not attended to.
  ValueId given = n.in(3);
  const bool boolean = n.dtype(3) == DType::boolean;
  if (!boolean) given = n.cast(given, n.dtype(0));
  const Dim columns = n.type(given).dims[size_t(normal_axis(-1, n.rank(given)))];
  if (!(columns == n.type(keys).dims[2]) && !(columns == Dim(1))) {
    const ValueId missing =
        n.binary(BinaryKind::sub, n.add(schema::Shape{2, 3}, {keys}), n.add(schema::Shape{-1}, {given}));
    const ValueId pads = n.add(schema::Concat{}, {n.ints({0}), missing});
    given = n.add(schema::Pad{}, {given, pads, n.scalar_like(given, boolean ? 0 : -INFINITY), n.ints({-1})});
  }
  if (boolean) mask.restrict(n, given);
  else mask.bias = given;
  return mask;
}

void attention(OnnxNode& n) {
  n.expect_inputs(3, 7);
  check(n.has(4) == n.has(5), "past keys and values come together");
  const int64_t q_heads = n.integer("q_num_heads", 0), kv_heads = n.integer("kv_num_heads", 0),
                mode = n.integer("qk_matmul_output_mode", 0);
  const double softcap = n.real("softcap", 0), given_scale = n.real("scale", 0);
  const int64_t precision = n.integer("softmax_precision", 0);
  const ValueId q = split_heads(n, n.in(0), q_heads);
  ValueId k = split_heads(n, n.in(1), kv_heads), v = split_heads(n, n.in(2), kv_heads);
  if (n.has(4)) k = n.add(schema::Concat{2}, {n.in(4), k}), v = n.add(schema::Concat{2}, {n.in(5), v});
  n.set(1, k);
  n.set(2, v);
  const Mask mask = attention_mask(n, q, k);
  const Dim width = n.type(q).dims[3];
  const bool scale_known = n.has_attribute("scale") || width.known();
  const double scale = n.has_attribute("scale") ? given_scale : width.known() ? 1 / std::sqrt(double(width.value())) : 1;
  check(scale >= 0, "attribute scale is ", scale);
  const ValueId root = scale_known
                           ? n.scalar_like(q, std::sqrt(scale))
                           : n.binary(BinaryKind::pow, n.cast(n.extent_at_run(q, 3), n.type(q).dtype), -0.25);
  const auto scaled = [&](ValueId x) { return n.binary(BinaryKind::mul, x, root); };
  ValueId scores = n.add(schema::MatMul{false, true}, {scaled(q), scaled(repeat_heads(n, k, q))});
  if (mode == 0) n.set(3, scores);
  if (softcap > 0)
    scores = n.binary(BinaryKind::mul, n.unary(UnaryKind::tanh, n.binary(BinaryKind::div, scores, softcap)), softcap);
  if (mode == 1) n.set(3, scores);
  if (mask.bias != ValueId::none) scores = n.binary(BinaryKind::add, scores, mask.bias);
  if (mask.allowed != ValueId::none)
    scores = n.add(schema::Where{}, {mask.allowed, scores, n.scalar_like(scores, -INFINITY)});
  if (mode == 2) n.set(3, scores);
  const DType dtype = n.type(scores).dtype;
  if (precision) scores = n.cast(scores, dtype_of(int32_t(precision)));
  ValueId weights = n.add(schema::Softmax{}, {scores});
  if (mask.allowed != ValueId::none || mask.bias != ValueId::none) {  // a query that may attend to nothing gives zeros
    const int64_t last = -1;
    const ValueId nothing =
        n.binary(BinaryKind::equal, n.reduce(schema::ReduceKind::max, scores, std::span(&last, 1)), -INFINITY);
    weights = n.add(schema::Where{}, {nothing, n.scalar_like(weights, 0), weights});
  }
  weights = n.cast(weights, dtype);
  if (mode == 3) n.set(3, weights);
  const ValueId y = n.add(schema::MatMul{}, {weights, n.cast(repeat_heads(n, v, q), dtype)});
  n.set(0, n.rank(0) == 4 ? y : join_heads(n, y));
}

void rotary_embedding(OnnxNode& n) {
  n.expect_inputs(3, 4);
  const Rotary rotary{n.integer("num_heads", 0), n.integer("rotary_embedding_dim", 0), n.flag("interleaved", false)};
  n.set(0, rotated(n, rotary, n.in(0), n.in(1), n.in(2), n.in(3)));
}

// Attention whose scores and probabilities pass through graphs of the model's.
void flex_attention(OnnxNode& n) {
  n.expect_inputs(3, 3);
  for (size_t k : {0, 1, 2}) check(n.rank(k) == 4, "input ", k, " must have rank 4, not ", n.type(k));
  const DType given = n.dtype(0), fallback = given == DType::f64 ? DType::f64 : DType::f32;
  const int64_t precision = n.integer("softmax_precision", 0);
  const DType wide = precision ? dtype_of(int32_t(precision)) : fallback;
  const ValueId q = n.cast(n.in(0), wide), k = n.cast(repeat_heads(n, n.in(1), q), wide), v = n.cast(repeat_heads(n, n.in(2), q), wide);
  const ValueId dots = n.add(schema::MatMul{false, true}, {q, k});
  const ValueId scale = n.has_attribute("scale") ? n.scalar(wide, n.real("scale", 0))
                                                 : n.binary(BinaryKind::pow, n.cast(n.extent_at_run(q, 3), wide), -0.5);
  const auto modified = [&](const char* name, ValueId x) {
    if (!n.has_attribute(name)) return x;
    const ValueIds y = n.inline_body(name, {x});
    check(y.size() == 1 && n.type(y[0]).dtype == wide, "attribute ", name, " makes ", y.size(), " outputs, the first ",
          y.empty() ? "" : to_text(n.type(y[0])), ", of ", n.type(x));
    return y[0];
  };
  const ValueId scores = modified("score_mod", n.binary(BinaryKind::mul, dots, scale));
  const ValueId chances = modified("prob_mod", n.add(schema::Softmax{}, {scores}));
  n.set(0, n.cast(n.add(schema::MatMul{}, {chances, v}), given));
}

// Writes the update into the cache along `axis`, for each of the batch from its own index on.
void tensor_scatter(OnnxNode& n) {
  n.expect_inputs(2, 3);
  const ValueId cache = n.in(0), update = n.in(1);
  const int64_t rank = n.rank(cache), axis = normal_axis(n.integer("axis", -2), rank);
  check(axis > 0, "attribute axis is the batch");
  const bool circular = n.choice<bool>("mode", "linear", {{"linear", false}, {"circular", true}});
  std::vector<int64_t> before, behind;
  for (int64_t i = 0; i < rank; ++i) {
    if (i != axis) before.push_back(i);
    if (i != 0) behind.push_back(i);
  }
  ValueId index = n.add(schema::Unsqueeze{}, {n.positions(update, axis), n.ints(before)});
  if (n.has(2))
    index = n.binary(BinaryKind::add, index, n.add(schema::Unsqueeze{}, {n.cast(n.in(2), DType::i64), n.ints(behind)}));
  if (circular) index = n.binary(BinaryKind::mod, index, n.extent_at_run(cache, axis));
  n.set(0, n.add(schema::ScatterElements{axis},
                 {cache, n.add(schema::Expand{}, {index, n.add(schema::Shape{}, {update})}), update}));
}

constexpr Row attention_rows[] = {
    {"Attention", attention}, {"RotaryEmbedding", rotary_embedding}, {"TensorScatter", tensor_scatter}};
constexpr Row preview_rows[] = {{"FlexAttention", flex_attention}};
}  // namespace

ValueId rotated(OnnxNode& n, const Rotary& rotary, ValueId given, ValueId cos_table, ValueId sin_table, ValueId positions) {
  const bool interleaved = rotary.interleaved, packed = n.rank(given) == 3;
  const int64_t partial = rotary.partial;
  check(packed || n.rank(given) == 4, "what is rotated is ", n.type(given), " where rank 3 or 4 is needed");
  check(!packed || rotary.heads > 0, "attribute num_heads is ", rotary.heads);
  const ValueId x = packed ? unpack_heads(n, given, rotary.heads) : given;  // the heads are dim 2, or 1
  const Dim width = n.type(x).dims[3], turned = partial ? Dim(partial) : width;
  const bool known = turned.known(), whole = !partial || turned == width;
  check(!known || (turned.value() > 0 && (!width.known() || turned.value() <= width.value()) && turned.value() % 2 == 0), "rotates ",
        turned.text(), " of ", width.text(), " elements");
  const ValueId none = n.ints({0}), one = n.ints({1}), all = known ? n.ints({turned.value()}) : n.ints({INT64_MAX});
  const ValueId half = known ? n.ints({turned.value() / 2}) : n.binary(BinaryKind::div, n.add(schema::Shape{3, 4}, {x}), 2);
  const auto slice = [&](ValueId v, ValueId from, ValueId to, int64_t step) {
    return n.add(schema::Slice{}, {v, from, to, n.ints({-1}), n.ints({step})});
  };
  const auto angles = [&](ValueId table) {
    const ValueId rows = positions == ValueId::none ? table : n.add(schema::Gather{0}, {table, positions});
    return n.unsqueeze(rows, {packed ? 2 : 1});
  };
  const ValueId cos = angles(cos_table), sin = angles(sin_table), part = whole ? x : slice(x, none, all, 1);
  const ValueId a = interleaved ? slice(part, none, all, 2) : slice(part, none, half, 1);
  const ValueId b = interleaved ? slice(part, one, all, 2) : slice(part, half, all, 1);
  const auto mul = [&](ValueId p, ValueId q) { return n.binary(BinaryKind::mul, p, q); };
  const ValueId real = n.binary(BinaryKind::sub, mul(cos, a), mul(sin, b)), imaginary = n.binary(BinaryKind::add, mul(sin, a), mul(cos, b));
  ValueId y = interleaved ? n.reshape(n.add(schema::Concat{-1}, {n.unsqueeze(real, {-1}), n.unsqueeze(imaginary, {-1})}),
                                      {0, 0, 0, known ? turned.value() : -1})
                          : n.add(schema::Concat{-1}, {real, imaginary});
  if (!whole) y = n.add(schema::Concat{-1}, {y, slice(x, all, n.ints({INT64_MAX}), 1)});
  return packed ? n.reshape(y, {0, 0, -1}) : y;
}

Group attention_group() { return {onnx_domain, attention_rows}; }
Group preview_group() { return {preview_domain, preview_rows}; }
}  // namespace converter
