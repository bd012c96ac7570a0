#include "kernels/pad/pad.h"
#include <cstring>
#include "kernels/split.h"

namespace kernels::pad {
namespace {
using schema::PadMode;
constexpr int64_t large_unit = 1024;  // bytes
constexpr size_t most_dims = 8;

int64_t kept(const Dim& d) { return d.extent + std::min<int64_t>(d.begin, 0) + std::min<int64_t>(d.end, 0); }

// The position in x of index i of y, or -1.
int64_t source(PadMode mode, const Dim& d, int64_t i) {
  const int64_t n = kept(d), first = std::max<int64_t>(0, -d.begin), at = i - std::max<int64_t>(0, d.begin);
  if (at >= 0 && at < n) return first + at;
  if (mode == PadMode::constant) return -1;
  if (mode == PadMode::edge) return first + (at < 0 ? 0 : n - 1);
  const int64_t period = mode == PadMode::wrap ? n : std::max<int64_t>(1, 2 * (n - 1));
  const int64_t inside = (at % period + period) % period;
  return first + (mode == PadMode::wrap ? inside : std::min(inside, period - inside));
}

// Units of a size known to the compiler, or of any.
template <int64_t size> void copy_units(const std::byte* x, std::byte* y, const std::vector<int64_t>& from, int64_t unit) {
  const int64_t bytes = size ? size : unit;
  for (const int64_t at : from) std::memcpy(y, x + at, static_cast<size_t>(bytes)), y += bytes;
}

// With a value, or zeros if it is null. What is filled already is copied behind itself.
void fill(std::byte* y, int64_t bytes, const std::byte* value, int64_t element) {
  const auto n = static_cast<size_t>(bytes);
  if (n == 0) return;
  if (!value) return static_cast<void>(std::memset(y, 0, n));
  size_t done = static_cast<size_t>(element);
  std::memcpy(y, value, done);
  for (; done < n; done *= 2) std::memcpy(y + done, y, std::min(done, n - done));
}
}  // namespace

Kernel::Kernel(const Spec& spec) : element_(spec.element_bytes), unit_(spec.element_bytes) {
  std::vector<Dim> dims;  // those that stay as they are joined with the one behind, if that does too
  const auto stays = [](const Dim& d) { return d.begin == 0 && d.end == 0; };
  for (const Dim& d : spec.dims)
    if (!dims.empty() && stays(d) && stays(dims.back())) dims.back().extent *= d.extent;
    else dims.push_back(d);
  if (!dims.empty() && stays(dims.back())) unit_ *= dims.back().extent, dims.pop_back();
  Dim row{1, 0, 0};
  if (!dims.empty() && unit_ < large_unit) row = dims.back(), dims.pop_back();
  middle_ = kept(row) * unit_, from_ = std::max<int64_t>(0, -row.begin) * unit_, row_ = row.out() * unit_;
  if (row_ == 0 || std::any_of(dims.begin(), dims.end(), [](const Dim& d) { return d.out() == 0; })) rows_ = 0;
  if (rows_ == 0) return;  // whatever the other extents are
  for (int64_t i = 0; i < std::max<int64_t>(0, row.begin); ++i) left_.push_back(source(spec.mode, row, i) * unit_);
  for (int64_t i = row.out() - std::max<int64_t>(0, row.end); i < row.out(); ++i)
    right_.push_back(source(spec.mode, row, i) * unit_);
  int64_t stride = row.extent * unit_;
  outer_.resize(dims.size());
  for (size_t d = dims.size(); d-- > 0; stride *= dims[d].extent) {
    rows_ *= dims[d].out();
    for (int64_t i = 0; i < dims[d].out(); ++i) {
      const int64_t at = source(spec.mode, dims[d], i);
      outer_[d].push_back(at < 0 ? -1 : at * stride);
    }
  }
  if (spec.mode == PadMode::constant) return;
  copy_units_ = unit_ == 4    ? copy_units<4>
                : unit_ == 8  ? copy_units<8>
                : unit_ == 12 ? copy_units<12>
                : unit_ == 16 ? copy_units<16>
                              : copy_units<0>;
}

void Kernel::run_rows(const std::byte* x, const std::byte* value, std::byte* y, int64_t first, int64_t last) const {
  const size_t dims = outer_.size();
  const auto left = static_cast<int64_t>(left_.size()) * unit_, right = static_cast<int64_t>(right_.size()) * unit_;
  if (value && std::all_of(value, value + element_, [](std::byte b) { return b == std::byte{0}; })) value = nullptr;
  int64_t index[most_dims];
  for (auto [d, rest] = std::pair(dims, first); d-- > 0;) {
    const auto extent = static_cast<int64_t>(outer_[d].size());
    index[d] = rest % extent, rest /= extent;
  }
  y += first * row_;
  for (int64_t r = first; r < last; ++r, y += row_) {
    int64_t base = 0;
    bool inside = true;
    for (size_t d = 0; d < dims; ++d) {
      const int64_t at = outer_[d][static_cast<size_t>(index[d])];
      inside &= at >= 0, base += at;
    }
    if (!inside) {
      fill(y, row_, value, element_);
    } else {
      if (copy_units_) copy_units_(x + base, y, left_, unit_), copy_units_(x + base, y + left + middle_, right_, unit_);
      else fill(y, left, value, element_), fill(y + left + middle_, right, value, element_);
      if (middle_) std::memcpy(y + left, x + base + from_, static_cast<size_t>(middle_));
    }
    for (size_t d = dims; d-- > 0;) {
      if (++index[d] < static_cast<int64_t>(outer_[d].size())) break;
      index[d] = 0;
    }
  }
}

void Kernel::run(const void* x, const void* value, void* y, ThreadPool& pool, int max_threads) const {
  run_split(pool, max_threads, rows_, 1, rows_ * row_ / 4, [&](int64_t first, int64_t last, int64_t, int64_t) {
    run_rows(static_cast<const std::byte*>(x), static_cast<const std::byte*>(value), static_cast<std::byte*>(y), first,
             last);
  });
}

std::string invalid(const Spec& s) {
  if (s.element_bytes <= 0) return "elements of no size";
  for (const Dim& d : s.dims)
    if (d.extent < 0 || kept(d) < 0 || (kept(d) == 0 && d.out() > 0 && s.mode != PadMode::constant))
      return "pads that do not fit";
  return s.dims.size() > most_dims ? "too many dims" : "";
}

std::span<const Row> rows() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, tile, where) {#name, isa, tile, where::supports, where::make},
#include "kernels/pad/kernels.inc"
  };
  return table;
}

Choice select(const Spec& spec, isa::Mask have) { return choose(rows(), spec, have); }

Support scalar::supports(const Spec& spec) { return {1, invalid(spec)}; }
Kernel scalar::make(const Spec& spec) { return Kernel(spec); }
}  // namespace kernels::pad
