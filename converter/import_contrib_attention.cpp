// ONNX Runtime's attention ops of transformer encoders and decoders, as the products, masks and softmax that they are made of.
#include <cmath>
#include "converter/shared.h"

namespace converter {
namespace {
using schema::BinaryKind;

// Which keys may be seen, of [B], [2B], [B,T] or [B,S,T]: the numbers of keys, those and then where keys start, or 1 where
// there is one. The result broadcasts to [B,heads,S,T]; k is [B,heads,T,D].
ValueId visible(OnnxNode& n, ValueId mask, ValueId k) {
  const int64_t rank = n.rank(mask);
  if (rank == 1) {
    const Dim size = n.type(mask).dims[0], batch = n.type(k).dims[0];
    const ValueId place = n.positions(k, 2);
    const auto limit = [&](ValueId v) { return n.unsqueeze(n.cast(v, DType::i64), {1, 2, 3}); };
    if (size.known() && batch.known() && size.value() == 2 * batch.value()) {
      const ValueIds parts = n.add_all(schema::Split{0, 2}, {mask}, 2);
      return n.binary(BinaryKind::logical_and, n.binary(BinaryKind::less, place, limit(parts[0])),
                      n.binary(BinaryKind::greater_equal, place, limit(parts[1])));
    }
    require(may_equal(size, batch), Code::unsupported, "a mask of ", size.text(), " numbers for a batch of ", batch.text(), " is not supported");
    return n.binary(BinaryKind::less, place, limit(mask));
  }
  require(rank == 2 || rank == 3, Code::unsupported, "a mask of rank ", rank, " is not supported");
  const ValueId positive = n.binary(BinaryKind::greater, mask, 0.0);
  return rank == 2 ? n.unsqueeze(positive, {1, 2}) : n.unsqueeze(positive, {1});
}

struct Attended {
  ValueId q, k, v;  // [B,heads,S or T,D]
  ValueId mask = ValueId::none, bias = ValueId::none, past = ValueId::none;  // `past`: the keys before the first query (i64)
};
// [B,S,heads*D]
ValueId attend(OnnxNode& n, const Attended& a) {
  const double filter = n.real("mask_filter_value", -10000), given = n.real("scale", 0);
  const ValueId scale = given ? n.scalar_like(a.q, given) : n.binary(BinaryKind::pow, n.cast(n.extent_at_run(a.q, 3), n.type(a.q).dtype), -0.5);
  ValueId scores = n.binary(BinaryKind::mul, n.add(schema::MatMul{false, true}, {a.q, a.k}), scale);
  if (a.bias != ValueId::none) scores = n.binary(BinaryKind::add, scores, a.bias);
  if (a.mask != ValueId::none) {
    const ValueId hidden = n.add(schema::Where{}, {visible(n, a.mask, a.k), n.scalar_like(scores, 0), n.scalar_like(scores, filter)});
    scores = n.binary(BinaryKind::add, scores, hidden);
  }
  if (n.flag("unidirectional", false))
    scores = n.add(schema::Where{}, {causal_mask(n, a.q, a.k, a.past), scores, n.scalar_like(scores, -INFINITY)});
  return join_heads(n, n.add(schema::MatMul{}, {n.add(schema::Softmax{}, {scores}), a.v}));
}

ValueId part(OnnxNode& n, ValueId v, int64_t axis, int64_t i) { return n.add(schema::Gather{axis}, {v, n.scalar(DType::i64, double(i))}); }
ValueId none_before(OnnxNode& n) { return n.scalar(DType::i64, 0); }

// Inputs: x [B,S,I], weights [I,Dq+Dk+Dv], [bias], [mask], [past keys and values [2,B,heads,P,D]], [bias of the scores].
void fused_attention(OnnxNode& n) {
  n.expect_inputs(2, 7);
  require(!n.flag("do_rotary", false) && !n.flag("past_present_share_buffer", false) && !n.has(6), Code::unsupported,
          "rotary embedding and a shared buffer for past and present are not supported");
  n.ignore({"rotary_embedding_dim"});
  const int64_t heads = n.integer("num_heads");
  check(heads > 0, "attribute num_heads is ", heads);
  ValueId x = n.add(schema::MatMul{}, {n.in(0), n.in(1)});
  if (n.has(2)) x = n.binary(BinaryKind::add, x, n.in(2));
  schema::Ints sizes = n.integers("qkv_hidden_sizes");
  if (sizes.empty()) sizes.assign(3, n.extent(n.in(1), 1) / 3);
  check(sizes.size() == 3, "attribute qkv_hidden_sizes has ", sizes.size(), " entries, not 3");
  const ValueIds parts = n.add_all(schema::Split{2, 0}, {x, n.ints(sizes)}, 3);
  Attended a{split_heads(n, parts[0], heads), split_heads(n, parts[1], heads), split_heads(n, parts[2], heads), n.in(3), n.in(5), none_before(n)};
  if (n.has(4)) {
    const ValueId k = part(n, n.in(4), 0, 0), v = part(n, n.in(4), 0, 1);
    a.past = n.extent_at_run(k, 2);
    a.k = n.add(schema::Concat{2}, {k, a.k}), a.v = n.add(schema::Concat{2}, {v, a.v});
  }
  if (n.wants(1)) n.set(1, n.add(schema::Concat{0}, {n.unsqueeze(a.k, {0}), n.unsqueeze(a.v, {0})}));
  n.set(0, attend(n, a));
}

// Inputs: q [B,S,D] or with k and v [B,S,heads,3,D], [k [B,L,D], with v [B,L,heads,2,D], or of another node [B,heads,L,D]], [v],
// [bias of the three], [mask], [bias of the scores], [past k, past v [B,heads,P,D]].
void multi_head_attention(OnnxNode& n) {
  n.expect_inputs(1, 10);
  require(!n.has(8) && !n.has(9), Code::unsupported, "a shared buffer for past and present is not supported");
  const int64_t heads = n.integer("num_heads");
  check(heads > 0, "attribute num_heads is ", heads);
  const auto packed = [&](size_t k, int64_t i) { return n.transpose(part(n, n.in(k), 3, i), {0, 2, 1, 3}); };
  const bool all = n.rank(0) == 5, pair = n.has(1) && n.rank(1) == 5;
  check(all || pair || (n.has(1) && n.has(2)), "inputs 1 and 2 must be there");
  ValueIds biases(3, ValueId::none);
  if (n.has(3)) {
    check(n.rank(3) == 1, "the bias is ", n.type(3), " where rank 1 is needed");
    const Dim q = n.rank(0) == 3 ? n.type(0).dims[2] : Dim::unknown(), whole = n.type(3).dims[0];
    check(!all && !pair, "packed inputs have no bias");
    require(q.known() && whole.known(), Code::unsupported, "the widths of q and of the bias must be known");
    const int64_t v = whole.value() - 2 * q.value();
    check(v > 0, "a bias of ", whole.text(), " numbers is not for q, k and v");
    biases = n.add_all(schema::Split{0, 0}, {n.in(3), n.ints({q.value(), q.value(), v})}, 3);
  }
  const auto plain = [&](size_t k) {
    if (n.rank(k) == 4) return n.in(k);
    return split_heads(n, biases[k] == ValueId::none ? n.in(k) : n.binary(BinaryKind::add, n.in(k), biases[k]), heads);
  };
  Attended a{all ? packed(0, 0) : plain(0), all ? packed(0, 1) : pair ? packed(1, 0) : plain(1), all ? packed(0, 2) : pair ? packed(1, 1) : plain(2),
             n.in(4), n.in(5), none_before(n)};
  check(n.has(6) == n.has(7), "past keys and values come together");
  if (n.has(6)) {
    a.past = n.extent_at_run(n.in(6), 2);
    a.k = n.add(schema::Concat{2}, {n.in(6), a.k}), a.v = n.add(schema::Concat{2}, {n.in(7), a.v});
  }
  n.set(1, a.k), n.set(2, a.v);
  n.set(0, attend(n, a));
}

// Inputs: x, position ids ([B,S], or [1]: that of the first token), cos, sin.
void contrib_rotary_embedding(OnnxNode& n) {
  n.expect_inputs(4, 4);
  require(!n.flag("is_packed_batching", false) && n.real("scale", 1) == 1, Code::unsupported, "packed batches and a scale are not supported");
  const Rotary rotary{n.integer("num_heads", 0), n.integer("rotary_embedding_dim", 0), n.flag("interleaved", false)};
  ValueId x = n.in(0), places = n.in(1);
  const bool heads_first = n.rank(x) == 4;
  check(heads_first || n.rank(x) == 3, "x is ", n.type(x), " where rank 3 or 4 is needed");
  if (n.rank(places) == 1) {
    const ValueId token = n.binary(BinaryKind::add, n.positions(x, heads_first ? 2 : 1), n.cast(places, DType::i64));
    const ValueId batch = n.add(schema::Shape{0, 1}, {x}), length = n.add(schema::Shape{heads_first ? 2 : 1, heads_first ? 3 : 2}, {x});
    places = n.add(schema::Expand{}, {token, n.add(schema::Concat{}, {batch, length})});
  }
  Rotary of = rotary;
  if (!heads_first && !of.heads) {  // the table says how wide a head is
    const Dim width = n.type(x).dims[2];
    const int64_t half = n.extent(n.in(2), 1);
    require(width.known() && half > 0, Code::unsupported, "the number of heads is not known");
    of.heads = width.value() / (2 * half);
  }
  n.set(0, rotated(n, of, x, n.in(2), n.in(3), places));
}

constexpr Row contrib_attention_rows[] = {
    {"Attention", fused_attention}, {"MultiHeadAttention", multi_head_attention}, {"RotaryEmbedding", contrib_rotary_embedding}};
}  // namespace

Group contrib_attention_group() { return {microsoft_domain, contrib_attention_rows}; }
}  // namespace converter
