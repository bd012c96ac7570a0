// Grouped-query attention, as ONNX Runtime defines it for its cache.
#include "engine/ops/group_query_attention.h"
#include "engine/ops/doubles.h"

namespace engine {
namespace gqa {
namespace {
int64_t number(const ConstView& v, int64_t i) { return load<Int>(v, i).v; }
}  // namespace

void check_extents(const schema::GroupQueryAttention& op, const RunContext& c) {
  const auto q = c.in(0).shape;
  const int64_t batch = q[0], length = q[1], size = q[2] / op.heads;
  const auto fits = [&](size_t k, std::initializer_list<int64_t> wanted) {
    constexpr int64_t any = -1;
    bool fit = !c.has(k) || c.in(k).shape.size() == wanted.size();
    for (size_t d = 0; fit && c.has(k) && d < wanted.size(); ++d) fit = wanted.begin()[d] == any || c.in(k).shape[d] == wanted.begin()[d];
    if (!fit) fail(Code::invalid_argument, "input ", k, " is ", to_text(c.in(k).shape), ", which does not fit q ", to_text(q));
  };
  const auto counts = [&](size_t k, int64_t wanted) {
    if (c.has(k) && c.in(k).elements() != wanted) fail(Code::invalid_argument, "input ", k, " is ", to_text(c.in(k).shape), " where ", wanted, " numbers are needed");
  };
  if (size <= 0 || q[2] % op.heads) fail(Code::invalid_argument, "q is ", to_text(q), ", which ", op.heads, " heads do not share");
  for (const size_t k : {1, 2}) fits(k, {batch, length, op.kv_heads * size});
  const int64_t past = c.has(past_k) ? c.in(past_k).shape[2] : 0, stored = c.has(k_scale) && c.in(past_k).dtype == DType::u8 ? size / 2 : size;
  for (const size_t k : {past_k, past_v}) fits(k, {batch, op.kv_heads, past, stored});
  for (const size_t k : {lengths, valid_lengths}) counts(k, batch);
  if (op.rotary) {
    const auto cos = c.in(cos_table).shape;
    if (cos[1] * 2 > size) fail(Code::invalid_argument, "cos is ", to_text(cos), " for heads of ", size);
    fits(sin_table, {cos[0], cos[1]});
    fits(position_ids, {batch, length});
  }
  fits(bias_of_scores, {-1, -1, length, -1});
  if (c.has(bias_of_scores)) {
    const auto d = c.in(bias_of_scores).shape;
    fits(bias_of_scores, {d[0] == 1 ? 1 : batch, d[1] == 1 ? 1 : op.heads, length, -1});
  }
  counts(sinks, op.heads), counts(q_norm, size), counts(k_norm, size);
}

Tokens tokens_of(const RunContext& c, int64_t b, int64_t total) {
  const int64_t length = c.in(0).shape[1], after = number(c.in(lengths), b) + 1, valid = c.has(valid_lengths) ? number(c.in(valid_lengths), b) : std::min(length, after);
  check(after >= 0 && after <= total, "sequence ", b, " has ", after, " tokens of a total of ", total);
  check(valid >= 0 && valid <= length && valid <= after, "sequence ", b, " has ", valid, " new tokens of ", length, ", and ", after, " in all");
  return {after, valid, after - valid};
}
int64_t position_of(const RunContext& c, int64_t b, int64_t s, int64_t before, int64_t total) {
  const int64_t length = c.in(0).shape[1];
  if (!c.has(position_ids)) return before + s;
  return total == length && !c.has(valid_lengths) ? number(c.in(position_ids), 0) + s : number(c.in(position_ids), b * length + s);
}
int64_t total_of(const RunContext& c) {
  check(c.in(total).elements() == 1, "the total length must have one element");
  const int64_t n = number(c.in(total), 0);
  check(n >= 0 && n <= limits::extent, "the total length is ", n);
  return n;
}
}  // namespace gqa

namespace {
using namespace gqa;
using schema::GroupQueryAttention;


Types infer(const GroupQueryAttention& op, const InferContext& in) {
  in.expect_inputs(3, 17);
  in.expect_class(0, schema::DTypeClass::real);
  check(op.heads >= 1 && op.kv_heads >= 1 && op.heads % op.kv_heads == 0, op.heads, " heads do not divide among ", op.kv_heads, " of the cache");
  check(in.has(lengths) && in.has(total), "the sequence lengths are missing");
  check(in.has(past_k) == in.has(past_v), "past k and past v come together");
  check(in.has(q_norm) == in.has(k_norm), "the norms of q and k come together");
  check(!op.rotary || (in.has(cos_table) && in.has(sin_table)), "a rotary embedding needs cos and sin");
  check(!op.sliding || (in.has(past_k) && op.window > 0), "a sliding cache needs a past and a window");
  check(op.causal || op.window <= 0, "a window needs causal attention");
  check(in.outputs() <= 4, "has 4 outputs");
  check(op.scores >= 0 && op.scores <= 2 && (op.scores || in.outputs() < 4), "gives no scores");
  check(in.has(k_scale) == in.has(v_scale) && (!in.has(k_scale) || in.has(past_k)), "a quantised cache has a past and scales of both k and v");
  const DType cached = in.has(k_scale) ? in.in(past_k).dtype : in.in(0).dtype;
  if (in.has(k_scale)) {
    for (size_t k : {past_k, past_v}) in.expect_dtype(k, {DType::i8, DType::u8, DType::f8e4m3fn});
    in.expect_same_dtype(past_k, past_v);
    for (size_t k : {k_scale, v_scale}) in.expect_dtype(k, {DType::f32});
  }
  const int64_t per_element = cached == DType::u8 ? 2 : 1;
  for (size_t k : {lengths, total, valid_lengths})
    if (in.has(k)) in.expect_dtype(k, {DType::i32});
  if (in.has(position_ids)) in.expect_dtype(position_ids, {DType::i64});
  Dim batch = Dim::unknown(), length = Dim::unknown(), past = in.has(past_k) ? Dim::unknown() : Dim(0), size = Dim::unknown();
  const auto ranked = [&](size_t k, int64_t rank, const char* what) {
    if (!in.has(k)) return false;
    if (k != lengths && k != valid_lengths && k != position_ids && !(in.has(k_scale) && (k == past_k || k == past_v))) in.expect_same_dtype(0, k);
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
  for (size_t k : {past_k, past_v}) {
    if (!ranked(k, 4, "the past")) continue;
    const Dims& d = in.in(k).dims;
    check(may_equal(d[1], op.kv_heads), "the past is ", to_text(in.in(k)), " for ", op.kv_heads, " heads");
    meet(batch, d[0], "batch"), meet(past, d[2], "past length"), meet(size, d[3] * per_element, "head size");
  }
  for (size_t k : {lengths, valid_lengths}) {
    if (!in.has(k) || !in.in(k).ranked) continue;
    Dim count = 1;
    for (const Dim& d : in.in(k).dims) count = count * d;
    check(may_equal(count, batch), "there are ", count.text(), " sequence lengths for a batch of ", batch.text());
  }
  for (size_t k : {cos_table, sin_table})
    if (ranked(k, 2, "cos or sin"))
      check(!in.in(k).dims[1].known() || !size.known() || in.in(k).dims[1].value() * 2 <= size.value(), "cos or sin is ", to_text(in.in(k)), " for heads of ", size.text());
  if (ranked(cos_table, 2, "cos") && ranked(sin_table, 2, "sin"))
    check(may_equal(in.in(cos_table).dims[0], in.in(sin_table).dims[0]) && may_equal(in.in(cos_table).dims[1], in.in(sin_table).dims[1]), "cos and sin differ");
  if (ranked(position_ids, 2, "the positions"))
    check(may_equal(in.in(position_ids).dims[0], batch) && may_equal(in.in(position_ids).dims[1], length), "the positions are ", to_text(in.in(position_ids)));
  if (ranked(bias_of_scores, 4, "the bias")) {
    const Dims& d = in.in(bias_of_scores).dims;
    check((d[0] == Dim(1) || may_equal(d[0], batch)) && (d[1] == Dim(1) || may_equal(d[1], op.heads)) && may_equal(d[2], length), "the bias is ", to_text(in.in(bias_of_scores)));
  }
  if (ranked(sinks, 1, "the sinks")) check(may_equal(in.in(sinks).dims[0], op.heads), "the sinks are ", to_text(in.in(sinks)), " for ", op.heads, " heads");
  for (size_t k : {q_norm, k_norm})
    if (ranked(k, 1, "a norm")) check(may_equal(in.in(k).dims[0], size), "a norm of ", to_text(in.in(k)), " for heads of ", size.text());
  // The cache has room for the total; where that is not known, the run says how much that is.
  const auto all = in.known_scalar(total);
  const Dim grown = past + length;
  Dim rows = Dim::unknown();
  if (op.sliding) rows = past;
  else if (all && *all == grown) rows = grown;
  else if (all) rows = max(*all, past);
  const DType dtype = in.in(0).dtype;
  for (size_t k : {k_scale, v_scale})
    if (in.has(k) && in.in(k).determined() && size.known())
      check(elements(in.in(k).shape()) == 1 || elements(in.in(k).shape()) == op.kv_heads * size.value(), "the scale of the cache is ", to_text(in.in(k)));
  const Type present = Type::tensor(cached, {batch, op.kv_heads, rows, size / per_element});
  Types types{Type::tensor(dtype, {batch, length, size * op.heads}), present, present, Type::tensor(dtype, {batch, op.heads, length, all ? *all : Dim::unknown()})};
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
void normalise(double* x, std::span<const double> weight, double epsilon) {
  double squares = 0;
  for (size_t i = 0; i < weight.size(); ++i) squares += x[i] * x[i];
  const double by = 1 / std::sqrt(squares / double(weight.size()) + epsilon);
  for (size_t i = 0; i < weight.size(); ++i) x[i] *= by * weight[i];
}

// Of `tokens` seen so far, the last ones that a sliding cache of so many rows holds: it drops as many at once as are beyond the window.
int64_t resident(int64_t tokens, int64_t rows, int64_t window) {
  if (tokens <= rows) return tokens;
  const int64_t dropped = rows - window + 1;
  return tokens - dropped * ((tokens - rows + dropped - 1) / dropped);
}

class Attention {
 public:
  Attention(const GroupQueryAttention& op, RunContext& c)
      : op_(op), c_(c), length_(c.in(0).shape[1]), size_(c.in(0).shape[2] / op.heads), past_(c.has(past_k) ? c.in(past_k).shape[2] : 0), q_(to_doubles(c.in(0))),
        fresh_{to_doubles(c.in(1)), to_doubles(c.in(2))}, cos_(table(cos_table)), sin_(table(sin_table)), norms_{optional(q_norm), optional(k_norm)}, sinks_(optional(sinks)),
        bias_(optional(bias_of_scores)), scales_{optional(k_scale), optional(v_scale)},
        cached_(c.has(k_scale) ? c.in(past_k).dtype : c.in(0).dtype), y_(q_.size()) {
    total_ = total_of(c);
    const int64_t batch = c.in(0).shape[0];
    check(!op.sliding || past_ >= op.window, "a cache of ", past_, " rows does not hold a window of ", op.window);
    if (!bias_.empty()) check(c.in(bias_of_scores).shape[3] >= total_, "the bias is for ", c.in(bias_of_scores).shape[3], " keys of ", total_);
    rows_ = op.sliding ? past_ : std::max(past_, total_);
    const int64_t shape[] = {batch, op.kv_heads, rows_, size_}, square[] = {batch, op.heads, length_, total_};
    bytes_of(DType::f64, shape);
    for (int k = 0; k < 2; ++k) present_[k].assign(size_t(elements(shape)), 0);
    if (c.wants(3)) scores_.assign(size_t((bytes_of(DType::f64, square), elements(square))), 0);
    for (const auto& scale : scales_) check(scale.size() <= 1 || int64_t(scale.size()) == op.kv_heads * size_, "the cache has ", scale.size(), " scales");
    for (int64_t b = 0; b < batch; ++b) sequence(b);
    if (c.wants(0)) store_doubles(c.out(0), 0, y_);
    for (size_t k = 0; k < 2; ++k)
      if (c.wants(k + 1)) store_present(k, batch);
    if (c.wants(3)) store_doubles(c.set_out(3, c.in(0).dtype, square), 0, scores_);
  }

 private:
  Scratch<double> optional(size_t k) const { return c_.has(k) ? to_doubles(c_.in(k)) : Scratch<double>(); }
  Scratch<double> table(size_t k) const { return op_.rotary ? to_doubles(c_.in(k)) : Scratch<double>(); }

  // --- What the cache holds: numbers, or with scales numbers of few bits.
  double scale_of(size_t k, int64_t head, int64_t i) const {
    return scales_[k].empty() ? 1 : scales_[k][scales_[k].size() == 1 ? 0 : size_t(head * size_ + i)];
  }
  double stored(const ConstView& past, int64_t i) const {
    if (scales_[0].empty() || cached_ != DType::u8) return load<double>(past, i);
    return (uint8_t(past.data[i / 2]) >> (i % 2 * 4) & 15) - 8;
  }
  // The nearest that the cache can hold, in steps of the scale.
  double steps(double v) const {
    if (cached_ == DType::i8) return std::clamp(std::nearbyint(v), -128., 127.);
    if (cached_ == DType::u8) return std::clamp(std::nearbyint(v), -8., 7.);
    uint8_t bits = 0;
    store_element(DType::f8e4m3fn, &bits, 0, v, true);
    return load_element<double>(DType::f8e4m3fn, &bits, 0);
  }
  void store_present(size_t k, int64_t batch) {
    const bool packed = !scales_[0].empty() && cached_ == DType::u8;
    const int64_t shape[] = {batch, op_.kv_heads, rows_, packed ? size_ / 2 : size_};
    const View out = c_.set_out(k + 1, cached_, shape);
    if (scales_[0].empty()) return store_doubles(out, 0, present_[k]);
    if (packed) std::fill_n(out.data, out.bytes(), std::byte{0});
    for (int64_t i = 0; i < int64_t(present_[k].size()); ++i) {
      const double v = steps(present_[k][size_t(i)] / scale_of(k, i / (rows_ * size_) % op_.kv_heads, i % size_));
      if (packed) out.data[i / 2] |= std::byte(uint8_t((int(v) + 8) << (i % 2 * 4)));
      else if (cached_ == DType::i8) store(out, i, Int(v));
      else store(out, i, v);
    }
  }

  // A head of a new token, as the scores read it.
  void prepare(double* x, int64_t position, bool key) const {
    if (!norms_[key].empty()) normalise(x, norms_[key], key ? op_.k_epsilon : op_.q_epsilon);
    if (!op_.rotary) return;
    const int64_t half = c_.in(cos_table).shape[1], count = c_.in(cos_table).shape[0];
    check(position >= 0 && position < count, "position ", position, " is outside the ", count, " of cos and sin");
    rotate(x, cos_.data() + position * half, sin_.data() + position * half, half, op_.interleaved);
  }

  void sequence(int64_t b) {
    const auto [after, valid, before] = tokens_of(c_, b, total_);
    const int64_t held = op_.sliding ? resident(before, past_, op_.window) : before;
    check(held <= past_, "sequence ", b, " has a past of ", before, ", the cache one of ", past_);
    const int64_t staged = std::max(rows_, held + valid), base = before - held;  // the position of row 0
    Scratch<double> cache[2];
    for (int k = 0; k < 2; ++k) {
      cache[k].assign(size_t(op_.kv_heads * staged * size_), 0);
      if (past_ == 0) continue;
      const ConstView& past = c_.in(past_k + size_t(k));
      const int64_t keep = op_.sliding ? held : past_;  // what is behind the tokens of a buffer stays as it is
      for (int64_t h = 0; h < op_.kv_heads; ++h)
        for (int64_t i = 0; i < keep * size_; ++i) cache[k][size_t(h * staged * size_ + i)] = stored(past, (b * op_.kv_heads + h) * past_ * size_ + i) * scale_of(size_t(k), h, i % size_);
    }
    for (int64_t s = 0; s < valid; ++s)
      for (int64_t h = 0; h < op_.kv_heads; ++h)
        for (int k = 0; k < 2; ++k) {
          double* x = fresh_[k].data() + ((b * length_ + s) * op_.kv_heads + h) * size_;
          if (k == 0) prepare(x, position_of(c_, b, s, before, total_), true);
          double* to = cache[k].data() + (h * staged + held + s) * size_;
          for (int64_t i = 0; i < size_; ++i) to[i] = scales_[0].empty() ? x[i] : steps(x[i] / scale_of(size_t(k), h, i)) * scale_of(size_t(k), h, i);
        }
    for (int64_t s = 0; s < valid; ++s)
      for (int64_t h = 0; h < op_.heads; ++h) {
        prepare(q_.data() + ((b * length_ + s) * op_.heads + h) * size_, position_of(c_, b, s, before, total_), false);
        query(b, s, h, before + s, after, base, staged, cache);
      }
    const int64_t left = op_.sliding ? resident(after, rows_, op_.window) : rows_, first = op_.sliding ? held + valid - left : 0;
    for (int k = 0; k < 2; ++k)
      for (int64_t h = 0; h < op_.kv_heads; ++h)
        std::copy_n(cache[k].begin() + (h * staged + first) * size_, left * size_, present_[k].begin() + (b * op_.kv_heads + h) * rows_ * size_);
  }

  void query(int64_t b, int64_t s, int64_t h, int64_t at, int64_t after, int64_t base, int64_t staged, const Scratch<double> (&cache)[2]) {
    const double scale = op_.scale ? op_.scale : 1 / std::sqrt(double(size_));
    const double* query = q_.data() + ((b * length_ + s) * op_.heads + h) * size_;
    double* out = y_.data() + ((b * length_ + s) * op_.heads + h) * size_;
    std::fill_n(out, size_, 0);
    const int64_t from = std::max(base, op_.window > 0 ? at + 1 - op_.window : 0), past = op_.causal ? at + 1 : after;
    const int64_t head = h / (op_.heads / op_.kv_heads) * staged - base;
    weights_.assign(size_t(past), 0);
    const bool sink = op_.smooth || !sinks_.empty();
    const double sink_score = sinks_.empty() ? 0 : sinks_[size_t(h)];
    double most = sink ? sink_score : -INFINITY;
    double* const kept = scores_.empty() ? nullptr : scores_.data() + ((b * op_.heads + h) * length_ + s) * total_;
    for (int64_t j = from; j < past; ++j) {
      double dot = 0;
      for (int64_t i = 0; i < size_; ++i) dot += query[i] * cache[0][size_t((head + j) * size_ + i)];
      dot *= scale;
      if (op_.softcap > 0) dot = op_.softcap * std::tanh(dot / op_.softcap);
      if (!bias_.empty()) dot += bias_[size_t(bias_at(b, h, s) + j)];
      if (kept && op_.scores == 1) kept[j] = dot;
      most = std::max(most, weights_[size_t(j)] = dot);
    }
    double sum = sink ? std::exp(sink_score - most) : 0;
    for (int64_t j = from; j < past; ++j) sum += weights_[size_t(j)] = std::exp(weights_[size_t(j)] - most);
    for (int64_t j = from; j < past; ++j) {
      const double weight = weights_[size_t(j)] / sum;
      if (kept && op_.scores == 2) kept[j] = weight;
      for (int64_t i = 0; i < size_; ++i) out[i] += weight * cache[1][size_t((head + j) * size_ + i)];
    }
  }
  int64_t bias_at(int64_t b, int64_t h, int64_t s) const {
    const auto d = c_.in(bias_of_scores).shape;
    return (((d[0] == 1 ? 0 : b) * d[1] + (d[1] == 1 ? 0 : h)) * d[2] + s) * d[3];
  }

  const GroupQueryAttention& op_;
  RunContext& c_;
  const int64_t length_, size_, past_;
  int64_t total_ = 0, rows_ = 0;
  Scratch<double> q_, fresh_[2];
  const Scratch<double> cos_, sin_, norms_[2], sinks_, bias_;
  const Scratch<double> scales_[2];
  const DType cached_;
  Scratch<double> y_, present_[2], scores_, weights_;
};
void reference(const GroupQueryAttention& op, RunContext& c) {
  check_extents(op, c);
  Attention(op, c);
}

double flops(const GroupQueryAttention&, std::span<const Type> in, std::span<const Type> out) {
  if (!in[0].determined() || out.size() < 2 || !out[1].determined()) return 0;
  return 4.0 * double(elements(in[0].shape())) * double(out[1].dims[2].value());
}
// The present keys and values continue the past ones.
int past_of(const GroupQueryAttention&, size_t output) { return output == 1 || output == 2 ? int(output) + 2 : -1; }
}  // namespace

const OpDef<GroupQueryAttention>& def(const GroupQueryAttention&) {
  static constexpr OpDef<GroupQueryAttention> def{.infer = infer, .reference = reference, .lower = lower_group_query_attention, .bounded = true, .on_device = true, .continued_input = past_of, .flops = flops};
  return def;
}
}  // namespace engine
