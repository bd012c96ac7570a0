#include "engine/ops/doubles.h"
#include "engine/op.h"

namespace engine {
namespace {
using schema::GroupQueryAttention;

Types infer(const GroupQueryAttention& op, const InferContext& in) {
  in.expect_inputs(3, 9);
  in.expect_class(0, schema::DTypeClass::real);
  check(op.heads >= 1 && op.kv_heads >= 1 && op.heads % op.kv_heads == 0, op.heads, " heads do not divide among ", op.kv_heads, " of the cache");
  check(in.has(5) && in.has(6), "the sequence lengths are missing");
  check(in.has(3) == in.has(4), "past k and past v come together");
  check(!op.rotary || (in.has(7) && in.has(8)), "a rotary embedding needs cos and sin");
  check(in.outputs() <= 3, "has 3 outputs");
  in.expect_dtype(5, {DType::i32});
  in.expect_dtype(6, {DType::i32});
  Dim batch = Dim::unknown(), length = Dim::unknown(), past = in.has(3) ? Dim::unknown() : Dim(0), size = Dim::unknown();
  const auto ranked = [&](size_t k, int64_t rank, const char* what) {
    if (!in.has(k)) return false;
    if (k != 5 && k != 6) in.expect_same_dtype(0, k);
    check(!in.in(k).ranked || in.in(k).rank() == rank, what, " is ", to_text(in.in(k)), " where rank ", rank, " is needed");
    return in.in(k).ranked;
  };
  const char* names[] = {"q", "k", "v"};
  for (size_t k = 0; k < 3; ++k) {
    if (!ranked(k, 3, names[k])) continue;
    const Dims& d = in.in(k).dims;
    const int64_t heads = k ? op.kv_heads : op.heads;
    check(!d[2].known() || (d[2].value() > 0 && d[2].value() % heads == 0), names[k], " is ", to_text(in.in(k)), ", which ", heads, " heads do not share");
    meet(batch, d[0], "batch"), meet(length, d[1], "length"), meet(size, d[2] / heads, "head size");
  }
  for (size_t k = 3; k < 5; ++k) {
    if (!ranked(k, 4, "the past")) continue;
    const Dims& d = in.in(k).dims;
    check(may_equal(d[1], op.kv_heads), "the past is ", to_text(in.in(k)), " for ", op.kv_heads, " heads");
    meet(batch, d[0], "batch"), meet(past, d[2], "past length"), meet(size, d[3], "head size");
  }
  if (in.in(5).ranked) {
    Dim count = 1;
    for (const Dim& d : in.in(5).dims) count = count * d;
    check(may_equal(count, batch), "there are ", count.text(), " sequence lengths for a batch of ", batch.text());
  }
  for (size_t k = 7; k < 9; ++k)
    if (ranked(k, 2, "cos or sin"))
      check(!in.in(k).dims[1].known() || !size.known() || in.in(k).dims[1].value() * 2 <= size.value(), "cos or sin is ", to_text(in.in(k)), " for heads of ", size.text());
  if (ranked(7, 2, "cos") && ranked(8, 2, "sin"))
    check(may_equal(in.in(7).dims[0], in.in(8).dims[0]) && may_equal(in.in(7).dims[1], in.in(8).dims[1]), "cos and sin differ");
  const DType dtype = in.in(0).dtype;
  const Type present = Type::tensor(dtype, {batch, op.kv_heads, past + length, size});
  Types types{Type::tensor(dtype, {batch, length, size * op.heads}), present, present};
  types.resize(in.outputs());
  return types;
}

// Turns pairs of elements of one head by the angles of its position.
void rotate(double* x, const double* cos, const double* sin, int64_t half, bool interleaved) {
  for (int64_t i = 0; i < half; ++i) {
    double &a = x[interleaved ? 2 * i : i], &b = x[interleaved ? 2 * i + 1 : i + half];
    const double turned = a * cos[i] - b * sin[i];
    b = b * cos[i] + a * sin[i];
    a = turned;
  }
}

void reference(const GroupQueryAttention& op, RunContext& c) {
  const auto qs = c.in(0).shape;
  const int64_t batch = qs[0], length = qs[1], size = qs[2] / op.heads, past = c.has(3) ? c.in(3).shape[2] : 0, capacity = past + length;
  const int64_t kv_heads = op.kv_heads, group = op.heads / kv_heads;
  Scratch<double> q = to_doubles(c.in(0)), fresh[2] = {to_doubles(c.in(1)), to_doubles(c.in(2))}, cache[2];
  const Scratch<double> cos = op.rotary ? to_doubles(c.in(7)) : Scratch<double>(), sin = op.rotary ? to_doubles(c.in(8)) : Scratch<double>();
  const int64_t half = op.rotary ? c.in(7).shape[1] : 0, positions = op.rotary ? c.in(7).shape[0] : INT64_MAX;
  const std::vector<int64_t> lengths = to_ints(c.in(5));
  check(c.in(6).elements() == 1, "the total length must have one element");
  const bool first_run = load<Int>(c.in(6), 0).v == length;
  const int64_t shape[] = {batch, kv_heads, capacity, size};
  bytes_of(DType::f64, shape);
  for (int k = 0; k < 2; ++k) {
    cache[k].assign(size_t(elements(shape)), 0);
    if (!past) continue;
    const Scratch<double> old = to_doubles(c.in(size_t(3 + k)));
    for (int64_t h = 0; h < batch * kv_heads; ++h)
      std::copy_n(old.begin() + h * past * size, past * size, cache[k].begin() + h * capacity * size);
  }
  const double scale = op.scale ? op.scale : 1 / std::sqrt(double(size));
  Scratch<double> scores(size_t(capacity), 0.0), y(q.size());
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t before = first_run ? 0 : lengths[size_t(b)] + 1 - length;
    check(before >= 0 && before <= past, "sequence ", b, " has a past of ", before, ", the cache one of ", past);
    check(before + length <= positions, "position ", before + length - 1, " is behind the ", positions, " of cos and sin");
    for (int64_t s = 0; s < length; ++s) {
      const int64_t at = before + s;
      for (int64_t h = 0; h < kv_heads; ++h)
        for (int k = 0; k < 2; ++k) {
          double* x = fresh[k].data() + ((b * length + s) * kv_heads + h) * size;
          if (op.rotary && k == 0) rotate(x, cos.data() + at * half, sin.data() + at * half, half, op.interleaved);
          std::copy_n(x, size, cache[k].begin() + ((b * kv_heads + h) * capacity + at) * size);
        }
      const int64_t from = op.window > 0 ? std::max<int64_t>(0, at + 1 - op.window) : 0;
      for (int64_t h = 0; h < op.heads; ++h) {
        double* query = q.data() + ((b * length + s) * op.heads + h) * size;
        double* out = y.data() + ((b * length + s) * op.heads + h) * size;
        if (op.rotary) rotate(query, cos.data() + at * half, sin.data() + at * half, half, op.interleaved);
        const int64_t head = (b * kv_heads + h / group) * capacity;
        double most = -INFINITY, sum = 0;
        for (int64_t j = from; j <= at; ++j) {
          double dot = 0;
          for (int64_t i = 0; i < size; ++i) dot += query[i] * cache[0][(head + j) * size + i];
          dot *= scale;
          scores[j] = op.softcap > 0 ? op.softcap * std::tanh(dot / op.softcap) : dot;
          most = std::max(most, scores[j]);
        }
        for (int64_t j = from; j <= at; ++j) sum += scores[j] = std::exp(scores[j] - most);
        for (int64_t j = from; j <= at; ++j)
          for (int64_t i = 0; i < size; ++i) out[i] += scores[j] / sum * cache[1][(head + j) * size + i];
      }
    }
  }
  if (c.wants(0)) store_doubles(c.out(0), 0, y);
  for (size_t k = 0; k < 2; ++k)
    if (c.wants(k + 1)) store_doubles(c.out(k + 1), 0, cache[k]);
}

double flops(const GroupQueryAttention&, std::span<const Type> in, std::span<const Type> out) {
  if (!in[0].determined() || out.size() < 2 || !out[1].determined()) return 0;
  return 4.0 * double(elements(in[0].shape())) * double(out[1].dims[2].value());
}
}  // namespace

const OpDef<GroupQueryAttention>& def(const GroupQueryAttention&) {
  static constexpr OpDef<GroupQueryAttention> def{.infer = infer, .reference = reference, .flops = flops};
  return def;
}
}  // namespace engine
