// What GroupQueryAttention computes, in doubles.
#include "engine/ops/doubles.h"
#include "engine/ops/group_query_attention.h"

namespace engine {
namespace {
using namespace gqa;
using schema::GroupQueryAttention;

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
}  // namespace

void reference_group_query_attention(const GroupQueryAttention& op, RunContext& c) {
  check_extents(op, c);
  Attention(op, c);
}
}  // namespace engine
