#include "kernels/conv/strips.h"
#include <cstring>

namespace kernels::conv {
namespace {
constexpr int64_t strip_bytes = 512 << 10;  // of what lies between links: half of a second-level cache
constexpr int64_t longest_strip = 12;

int64_t row_bytes(const Spec& s) { return s.out_width() * s.out_pitch() * pointwise::bytes_of(s.kept.y); }
}  // namespace

std::string Strips::refusal(std::span<const Link> links) {
  if (links.size() < 2 || links.size() > most) return "not 2 to 8 convolutions";
  for (size_t i = 0; i < links.size(); ++i) {
    const Spec& s = links[i].spec;
    if (!links[i].kernel->takes_rows()) return "a kernel does not take single rows";
    if (!i) continue;
    const Spec& before = links[i - 1].spec;
    if (s.nchw_input || s.channels != before.out_channels || s.width != before.out_width() || s.in_pitch() != before.out_pitch() || s.kept.x != before.kept.y)
      return "a convolution does not read what the one before it writes";
  }
  return {};
}

Strips::Strips(std::vector<Link> links) : links_(std::move(links)) {
  for (strip_ = longest_strip; strip_ >= 1; --strip_) {
    capacity_.assign(links_.size() - 1, 0);
    int64_t rows = strip_;
    for (size_t i = links_.size(); --i > 0;) capacity_[i - 1] = rows = in_rows(i, rows);
    if (strip_ == 1 || slot_bytes() <= strip_bytes) break;
  }
}

int64_t Strips::in_rows(size_t link, int64_t rows) const {
  const Spec& s = links_[link].spec;
  return rows ? (rows - 1) * s.stride_h + static_cast<int64_t>(s.kernel_h - 1) * s.dilation_h + 1 : 0;
}

int64_t Strips::slot_bytes() const {
  int64_t bytes = 0;
  for (size_t i = 0; i < capacity_.size(); ++i) bytes += kept_bytes(i);
  return bytes;
}

int64_t Strips::kept_bytes(size_t link) const { return (capacity_[link] * row_bytes(links_[link].spec) + 63) / 64 * 64; }

size_t Strips::scratch_bytes() const { return static_cast<size_t>(slots_.count() * slot_bytes()); }

void Strips::run(const StripArgs& args, ThreadPool& pool, int max_threads) const {
  int64_t heights[most + 1] = {args.height};
  for (size_t i = 0; i < links_.size(); ++i) heights[i + 1] = links_[i].spec.out_height(heights[i]);
  const int64_t rows = heights[links_.size()], threads = std::min(threads_of(pool, max_threads), slots_.count());
  if (args.batch <= 0 || rows <= 0) return;
  // Rows at the border of two bands are computed for both: a band has several strips, unless threads would have none.
  const int64_t wanted = threads > 1 ? (2 * threads + args.batch - 1) / args.batch : 1;
  const int64_t bands = std::min({wanted, rows, std::max(threads, rows / (2 * strip_))});
  slots_.run(pool, max_threads, args.batch * bands, [&](int64_t task, int64_t slot) {
    const int64_t band = task % bands;
    run_band(args, heights, static_cast<std::byte*>(args.scratch) + slot * slot_bytes(), task / bands, rows * band / bands,
             rows * (band + 1) / bands, pool);
  });
}

void Strips::run_band(const StripArgs& args, const int64_t* heights, std::byte* slot, int64_t image, int64_t row0, int64_t row1,
                      ThreadPool& pool) const {
  const size_t n = links_.size();
  std::byte* kept[most];  // the y of each link but the last: its rows from `from` up to `to`
  int64_t from[most] = {}, to[most] = {}, fresh0[most], fresh1[most];
  for (size_t i = 0; i + 1 < n; ++i) {
    kept[i] = slot;
    slot += kept_bytes(i);
  }
  for (int64_t row = row0; row < row1; row += strip_) {
    // What is missing of each y, from the last to the first; rows that are not needed any more make room.
    fresh0[n - 1] = row, fresh1[n - 1] = std::min(row1, row + strip_);
    for (size_t i = n - 1; i-- > 0;) {
      const Spec& s = links_[i + 1].spec;
      const int64_t top = fresh0[i + 1] * s.stride_h - s.pad_top, end = top + in_rows(i + 1, fresh1[i + 1] - fresh0[i + 1]);
      const int64_t first = std::clamp<int64_t>(top, 0, heights[i + 1]), last = std::clamp<int64_t>(end, first, heights[i + 1]);
      const int64_t row_of_y = row_bytes(links_[i].spec), left = std::max<int64_t>(0, to[i] - first);
      if (left && first > from[i]) std::memmove(kept[i], kept[i] + (first - from[i]) * row_of_y, static_cast<size_t>(left * row_of_y));
      from[i] = first;
      fresh0[i] = first + left, fresh1[i] = std::max(fresh0[i], last);
      to[i] = fresh1[i];
    }
    for (size_t i = 0; i < n; ++i) {
      const Spec& s = links_[i].spec;
      const StripArgs::Weights& weights = args.weights[i];
      if (fresh0[i] == fresh1[i]) continue;
      const int64_t pixel = (image * heights[i + 1] + fresh0[i]) * s.out_width();
      const pointwise::Operands operands = pointwise::offset(s.epilogue, weights.operands, pixel, 0, s.kept);
      Args link{};
      link.w = weights.w, link.bias = weights.bias, link.operands = operands.data();
      link.height = heights[i];
      link.first_row = fresh0[i], link.rows = fresh1[i] - fresh0[i];
      link.x_row = i ? from[i - 1] : 0;
      link.x = i ? reinterpret_cast<const float*>(kept[i - 1])
                 : pointwise::advance(args.x, image * heights[0] * s.width * (s.nchw_input ? s.channels : s.in_pitch()), s.kept.x);
      link.y = i + 1 < n ? reinterpret_cast<float*>(kept[i] + (fresh0[i] - from[i]) * row_bytes(s)) : pointwise::advance(args.y, pixel * s.out_pitch(), s.kept.y);
      links_[i].kernel->run(link, pool, 1);
    }
  }
}
}  // namespace kernels::conv
