#include "kernels/attention/attention.h"
#include <cmath>

namespace kernels::attention {
namespace {
constexpr int64_t block = 48;        // queries whose scores exist at a time
constexpr int64_t few = 4;           // queries for which packing k and v does not pay
constexpr int64_t line = 16;         // floats in a cache line
constexpr int64_t exponential = 16;  // multiply-adds that one takes the time of

void softmax_rows(const Spec& spec, const Sight& sight, float* s, int64_t stride, int64_t row0, int64_t rows, int64_t n, const float* mask, int64_t masks, float* inverse) {
  for (int64_t r = 0; r < rows; ++r, s += stride) {
    const int64_t begin = std::min(sight.begin(row0 + r), n), end = std::max(begin, sight.end(row0 + r, n));
    float most = -HUGE_VALF, sum = 0;
    for (int64_t j = begin; j < end; ++j) {
      const float score = s[j] * spec.scale;
      s[j] = (spec.softcap > 0 ? spec.softcap * std::tanh(score / spec.softcap) : score) + (mask ? mask[r * masks + j] : 0);
      most = std::max(most, s[j]);
    }
    const bool masked = spec.zero_if_masked && most == -HUGE_VALF;
    for (int64_t j = 0; j < n; ++j) sum += s[j] = masked || j < begin || j >= end ? 0 : std::exp(s[j] - most);
    inverse[r] = masked ? 0 : 1 / sum;
  }
}
void scale_rows(float* y, int64_t stride, int64_t rows, int64_t n, const float* by) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < n; ++i) y[r * stride + i] *= by[r];
}
void dots_of(const Spec& spec, const float* q, const float* k, int64_t stride, int64_t n, float* s) {
  for (int64_t j = 0; j < n; ++j) {
    s[j] = 0;
    for (int64_t i = 0; i < spec.size; ++i) s[j] += q[i] * k[j * stride + i];
  }
}
void mix_of(const Spec& spec, const float* p, const float* v, int64_t stride, int64_t n, float* y) {
  std::fill_n(y, spec.value_size, 0.0f);
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < spec.value_size; ++i) y[i] += p[j] * v[j * stride + i];
}
constexpr Functions functions{softmax_rows, scale_rows, dots_of, mix_of};

int64_t floats_of(size_t bytes) { return round_up(static_cast<int64_t>(bytes / sizeof(float)), line); }
}  // namespace

Kernel::Kernel(const Spec& spec, const Functions& of, isa::Mask isa) : spec_(spec), functions_(of) {
  scores_ = gemm::select({.n = spec.keys, .k = spec.size, .transposed_b = true, .shorter = true}, isa).kernel;
  values_ = gemm::select({.n = spec.value_size, .k = spec.keys, .shorter = true}, isa).kernel;
}

int64_t Kernel::packed_floats(int64_t queries) const {
  return queries > few ? floats_of(scores_->packed_bytes()) + floats_of(values_->packed_bytes()) : 0;
}
// Packed keys and values, a block of scores, and a number for each of its rows.
int64_t Kernel::slot_floats(int64_t queries) const {
  const int64_t rows = std::min(block, queries);
  return packed_floats(queries) + rows * round_up(spec_.keys, line) + round_up(rows, line);
}
size_t Kernel::scratch_bytes(int64_t queries) const { return static_cast<size_t>(slots_.count() * slot_floats(queries)) * sizeof(float); }

void Kernel::run(const Args& args, ThreadPool& pool, int max_threads) const {
  const int64_t pairs = args.batch * args.heads, rows = args.queries;
  if (pairs <= 0 || rows <= 0 || spec_.value_size <= 0) return;
  const int64_t work = pairs * rows * (args.keys < 0 ? spec_.keys : args.keys) * (spec_.size + spec_.value_size + exponential);
  const int64_t threads = work < (1 << 18) ? 1 : std::min(threads_of(pool, max_threads), slots_.count());  // below some 3 µs, one is sooner done
  // Whole heads, whose keys are packed once, unless threads would have none.
  const int64_t parts = threads > 1 && pairs < 2 * threads ? std::min(divide_up(rows, block), divide_up(2 * threads, pairs)) : 1;
  slots_.run(pool, static_cast<int>(threads), pairs * parts, [&](int64_t task, int64_t slot) {
    const int64_t pair = task / parts, part = task % parts;
    one(args, pair / args.heads, pair % args.heads, rows * part / parts, rows * (part + 1) / parts,
        static_cast<float*>(args.scratch) + slot * slot_floats(rows), pool);
  });
}

void Kernel::one(const Args& args, int64_t batch, int64_t head, int64_t row0, int64_t row1, float* slot, ThreadPool& pool) const {
  const auto at = [&](auto* from, const Strides& s, int64_t h) { return from + batch * s.batch + h * s.head; };
  const float *q = at(args.q, args.q_strides, head), *k = at(args.k, args.k_strides, head / args.shared),
              *v = at(args.v, args.v_strides, head / args.shared), *mask = args.mask ? at(args.mask, args.mask_strides, head) : nullptr;
  float* y = at(args.y, args.y_strides, head);
  const int64_t all = args.keys < 0 ? spec_.keys : args.keys, first = std::min(args.sight.begin(0), all), keys = args.sight.end(row1 - 1, all) - first;
  const Sight sight{args.sight.causal, args.sight.position - first, args.sight.window};
  k += first * args.k_strides.row, v += first * args.v_strides.row, mask += mask ? first : 0;
  const bool pack = args.queries > few;
  float* const packed_k = slot;
  float* const packed_v = packed_k + (pack ? floats_of(scores_->packed_bytes()) : 0);
  float* const scores = slot + packed_floats(args.queries);
  const int64_t stride = round_up(spec_.keys, line), most = std::min(block, args.queries);
  float* const inverse = scores + most * stride;
  if (pack) scores_->pack_b(k, args.k_strides.row, packed_k, keys), values_->pack_b(v, args.v_strides.row, packed_v, -1, keys);
  for (int64_t r = row0; r < row1; r += most) {
    const int64_t rows = std::min(most, row1 - r), n = sight.end(r + rows - 1, keys);
    const float* queries = q + r * args.q_strides.row;
    float* out = y + r * args.y_strides.row;
    if (n <= 0) {
      for (int64_t i = 0; i < rows; ++i) std::fill_n(out + i * args.y_strides.row, spec_.value_size, spec_.zero_if_masked ? 0.0f : NAN);
      continue;
    }
    if (pack) {
      scores_->run({.a = queries, .lda = args.q_strides.row, .b = packed_k, .c = scores, .ldc = stride, .m = rows, .n = n}, pool, 1);
    } else {
      for (int64_t i = 0; i < rows; ++i) functions_.dots(spec_, queries + i * args.q_strides.row, k, args.k_strides.row, n, scores + i * stride);
    }
    functions_.softmax(spec_, sight, scores, stride, r, rows, n, mask ? mask + r * args.mask_strides.row : nullptr, args.mask_strides.row, inverse);
    if (pack) {
      values_->run({.a = scores, .lda = stride, .b = packed_v, .c = out, .ldc = args.y_strides.row, .m = rows, .k = n}, pool, 1);
    } else {
      for (int64_t i = 0; i < rows; ++i) functions_.mix(spec_, scores + i * stride, v, args.v_strides.row, n, out + i * args.y_strides.row);
    }
    functions_.scale(out, args.y_strides.row, rows, spec_.value_size, inverse);
  }
}

std::string invalid(const Spec& s) { return s.keys <= 0 || s.size < 0 || s.value_size < 0 ? "there are no keys" : ""; }

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/attention/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {16, invalid(spec)}; }
Kernel scalar::make(const Spec& spec) { return {spec, functions, isa::scalar}; }
}  // namespace kernels::attention
