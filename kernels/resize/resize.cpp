#include "kernels/resize/resize.h"
#include <cmath>
#include <cstring>
#include "kernels/split.h"

namespace kernels::resize {
namespace {
// Few elements in registers, many through memory.
void row(const RowArgs& r) {
  float* y = r.y;
  for (int64_t ow = 0; ow < r.out_width; ++ow, y += r.inner) {
    const auto for_taps = [&](auto f) {
      for (int64_t t = 0; t < r.taps; ++t)
        for (int64_t u = r.first[ow]; u < r.first[ow + 1]; ++u)
          f(r.x + r.row[t] * r.x_row + r.index[u] * r.inner, r.weight[t] * r.column_weight[u]);
    };
    if (r.inner < 4) {
      for (int64_t c = 0; c < r.inner; ++c) {
        float sum = 0;
        for_taps([&](const float* x, float weight) { sum += weight * x[c]; });
        y[c] = sum;
      }
      continue;
    }
    std::fill_n(y, r.inner, 0.0f);
    for_taps([&](const float* x, float weight) {
      for (int64_t c = 0; c < r.inner; ++c) y[c] += weight * x[c];
    });
  }
}

// Pixels of a size known to the compiler, or of any.
template <class T> void copy_pixels(const std::byte* x, std::byte* y, const Axis& columns, int64_t bytes) {
  const int64_t size =
      std::is_void_v<T> ? bytes : static_cast<int64_t>(sizeof(std::conditional_t<std::is_void_v<T>, char, T>));
  for (int64_t ow = 0; ow < columns.outputs(); ++ow)
    std::memcpy(y + ow * size, x + columns.index[static_cast<size_t>(ow)] * size, static_cast<size_t>(size));
}

bool fits(const Axis& a, int64_t extent) {
  if (a.first.empty() || a.first[0] != 0 || a.first.back() != static_cast<int64_t>(a.index.size())) return false;
  return a.index.size() == a.weight.size() && std::is_sorted(a.first.begin(), a.first.end()) &&
         std::all_of(a.index.begin(), a.index.end(), [extent](int64_t i) { return i >= 0 && i < extent; });
}
}  // namespace

bool Axis::copies() const {
  for (size_t i = 0; i < first.size(); ++i)
    if (first[i] != static_cast<int64_t>(i)) return false;
  return std::all_of(weight.begin(), weight.end(), [](float w) { return w == 1; });
}

Kernel::Kernel(const Spec& spec, Function function) : spec_(spec), function_(function), copies_(spec.copies()) {
  if (!copies_ && !spec_.rows.index.empty() && !spec_.columns.index.empty()) find_blocks();
}

// Blocks, where pixels are small and summing rows first is less work than all taps of each pixel.
void Kernel::find_blocks() {
  constexpr int64_t small = 64;
  if (spec_.inner >= small) return;
  const Axis& columns = spec_.columns;
  const int64_t inner = spec_.inner, width = columns.outputs();
  std::vector<Block> blocks;
  std::vector<Pair> pairs;
  int64_t summed = 0;
  bool pairs_do = true;
  for (int64_t ow = 0; ow < width; ++ow) {
    const auto t = static_cast<size_t>(columns.first[static_cast<size_t>(ow)]);
    const auto end = static_cast<size_t>(columns.first[static_cast<size_t>(ow) + 1]);
    if (t == end) return;
    const auto [low, high] = std::minmax_element(columns.index.begin() + static_cast<std::ptrdiff_t>(t),
                                                 columns.index.begin() + static_cast<std::ptrdiff_t>(end));
    const Block own{ow, ow + 1, *low * inner, (*high + 1) * inner};
    if (own.end - own.begin > Block::most) return;
    Block joined = own;
    if (!blocks.empty())
      joined = {blocks.back().first, ow + 1, std::min(blocks.back().begin, own.begin), std::max(blocks.back().end, own.end)};
    if (!blocks.empty() && joined.end - joined.begin <= Block::most) blocks.back() = joined;
    else blocks.push_back(own);
    pairs_do = pairs_do && end - t <= 2;
    if (!pairs_do) continue;
    const float first = columns.weight[t], second = columns.weight[end - 1];
    const bool single = end - t == 1;
    pairs.push_back({{columns.index[t] * inner, columns.index[end - 1] * inner},
                     {single ? first / 2 : first, single ? second / 2 : second}});
  }
  for (const Block& b : blocks) summed += b.end - b.begin;
  constexpr double vector = 16;
  const double row_taps = static_cast<double>(spec_.rows.index.size()) / static_cast<double>(spec_.rows.outputs());
  const double taps = static_cast<double>(columns.index.size()) * std::ceil(static_cast<double>(inner) / vector);
  if (static_cast<double>(summed) / vector * row_taps + taps >= row_taps * taps) return;
  blocks_ = std::move(blocks);
  if (pairs_do) pairs_ = std::move(pairs);
}

// A row like the one before it is copied from there.
void Kernel::copy_rows(const std::byte* x, std::byte* y, int64_t first, int64_t last) const {
  const Spec& s = spec_;
  const int64_t pixel = s.inner * s.element_bytes, in_row = s.width * pixel, out_row = s.columns.outputs() * pixel;
  const auto copy = pixel == 1   ? copy_pixels<uint8_t>
                    : pixel == 2 ? copy_pixels<uint16_t>
                    : pixel == 4 ? copy_pixels<uint32_t>
                    : pixel == 8 ? copy_pixels<uint64_t>
                                 : copy_pixels<void>;
  int64_t before = -1;
  for (int64_t i = first; i < last; ++i) {
    const int64_t image = i / s.rows.outputs(), oh = i % s.rows.outputs();
    const int64_t from = image * s.height + s.rows.index[static_cast<size_t>(oh)];
    if (from == before) std::memcpy(y + i * out_row, y + (i - 1) * out_row, static_cast<size_t>(out_row));
    else copy(x + from * in_row, y + i * out_row, s.columns, pixel);
    before = from;
  }
}

void Kernel::run(const void* x, void* y, ThreadPool& pool, int max_threads) const {
  const Spec& s = spec_;
  const int64_t out_height = s.rows.outputs(), out_width = s.columns.outputs(), rows = s.outer * out_height;
  if (out_width * s.inner == 0) return;
  const auto taps = static_cast<int64_t>(s.rows.index.size() * s.columns.index.size());
  run_split(pool, max_threads, rows, 1, s.outer * taps * s.inner, [&](int64_t first, int64_t last, int64_t, int64_t) {
    if (copies_) return copy_rows(static_cast<const std::byte*>(x), static_cast<std::byte*>(y), first, last);
    for (int64_t i = first; i < last; ++i) {
      const auto oh = static_cast<size_t>(i % out_height);
      const auto tap = static_cast<size_t>(s.rows.first[oh]);
      function_({static_cast<const float*>(x) + i / out_height * s.height * s.width * s.inner,
                 static_cast<float*>(y) + i * out_width * s.inner, s.width * s.inner, s.inner,
                 s.rows.index.data() + tap, s.rows.weight.data() + tap, s.rows.first[oh + 1] - s.rows.first[oh],
                 s.columns.first.data(), s.columns.index.data(), s.columns.weight.data(), out_width,
                 blocks_.data(), blocks_.size(), pairs_.empty() ? nullptr : pairs_.data()});
    }
  });
}

std::string invalid(const Spec& s) {
  if (s.outer < 0 || s.height < 0 || s.width < 0 || s.inner < 0) return "a negative extent";
  if (!fits(s.rows, s.height) || !fits(s.columns, s.width)) return "a table does not fit x";
  return s.element_bytes != 4 && !s.copies() ? "sums of other than f32" : "";
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/resize/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {static_cast<double>(spec.inner), invalid(spec)}; }
Kernel scalar::make(const Spec& spec) { return {spec, row}; }
}  // namespace kernels::resize
