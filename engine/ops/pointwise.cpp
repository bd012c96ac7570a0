#include "engine/ops/pointwise.h"
#include <algorithm>
#include "kernels/threads.h"

namespace engine {
namespace {
namespace pw = kernels::pointwise;
constexpr int64_t chunk = 16384;  // elements of one task: a fixed size, whatever the thread count

int64_t product(std::span<const int64_t> extents) {
  int64_t n = 1;
  for (int64_t d : extents) n *= d;
  return n;
}

// The output as outer × rows × columns; the operand is the same for each of the outer blocks.
struct View2d {
  pw::Mode mode = pw::Mode::full;
  int64_t outer = 1, rows = 1, columns = 1;
};

// None: the operand varies along dims that are not next to each other.
std::optional<View2d> view_of(Shape operand, const Shape& out) {
  const int64_t n = product(out);
  operand.insert(operand.begin(), out.size() - operand.size(), 1);
  if (operand == out) return View2d{pw::Mode::full, 1, 1, n};
  size_t first = 0, last = out.size();  // the dims along which the operand varies
  while (first < last && operand[first] == 1) ++first;
  while (last > first && operand[last - 1] == 1) --last;
  if (first == last) return View2d{pw::Mode::scalar, 1, 1, n};
  for (size_t i = first; i < last; ++i)
    if (operand[i] != out[i]) return std::nullopt;
  const std::span all(out);
  const int64_t outer = product(all.first(first)), middle = product(all.subspan(first, last - first)), inner = product(all.subspan(last));
  if (inner == 1) return View2d{pw::Mode::per_column, 1, outer, middle};
  return View2d{pw::Mode::per_row, outer, middle, inner};
}

// Whole rows, or pieces of the only one.
void run_chain(const pw::Kernel& kernel, const View2d& v, const float* x, const float* operand, float* y, RunContext& c) {
  const bool flat = v.mode == pw::Mode::full || v.mode == pw::Mode::scalar;
  const int64_t rows = flat ? (v.columns + chunk - 1) / chunk : v.outer * v.rows;
  const int64_t width = flat ? chunk : v.columns;
  const int64_t per_task = flat ? 1 : std::max<int64_t>(1, chunk / std::max<int64_t>(width, 1));
  const auto piece = [&](int64_t task) {
    for (int64_t r = task * per_task, end = std::min(rows, r + per_task); r < end;) {
      // per_row: not beyond the block, since the operand starts over with the next one.
      const int64_t stop = v.mode == pw::Mode::per_row ? std::min(end, (r / v.rows + 1) * v.rows) : end;
      const int64_t count = flat ? 1 : stop - r, columns = flat ? std::min(width, v.columns - r * width) : width;
      pw::Operand at{operand, columns};
      if (v.mode == pw::Mode::full && operand) at.data += r * width;
      if (v.mode == pw::Mode::per_row) at.data += r % v.rows;
      kernel.run(x + r * width, &at, y + r * width, count, columns);
      r = flat ? end : stop;
    }
  };
  const int64_t tasks = (rows + per_task - 1) / per_task;
  if (tasks <= 2 || c.threads() == 1) {
    for (int64_t t = 0; t < tasks; ++t) piece(t);
  } else {
    c.pool().run(tasks, piece, c.threads());
  }
}

bool all_f32(const LowerContext& c, size_t inputs) {
  for (size_t k = 0; k < inputs; ++k)
    if (c.in(k).dtype != DType::f32) return false;
  return c.out(0).dtype == DType::f32;
}
}  // namespace

std::optional<pw::Stage> epilogue_stage(const Op& op, size_t chain, const Type& operand, const Shape& out, uint8_t index) {
  std::optional<pw::Stage> stage;
  if (const auto* unary = op.get_if<schema::Unary>()) {
    stage = pw::Stage::of(unary->kind, float(unary->a), float(unary->b));
  } else if (const auto* binary = op.get_if<schema::Binary>()) {
    if (operand.dtype != DType::f32 || !operand.determined() || size_t(operand.rank()) > out.size()) return std::nullopt;
    const auto view = view_of(operand.shape(), out);
    if (!view || view->outer != 1) return std::nullopt;
    const bool rows = view->mode == pw::Mode::per_column || view->mode == pw::Mode::per_row;
    if (rows && (out.empty() || view->columns != out.back())) return std::nullopt;
    stage = pw::Stage::of(binary->kind, index, view->mode, chain == 1);
  }
  return stage && pw::unsupported({*stage}).empty() ? stage : std::nullopt;
}

std::optional<Lowered> lower_unary(const pw::Stage& stage, const LowerContext& c) {
  if (!all_f32(c, 1)) return std::nullopt;
  auto choice = pw::select({stage}, c.isa);
  if (!choice) return std::nullopt;
  const View2d view{pw::Mode::full, 1, 1, product(c.out(0).shape())};
  return Lowered{choice.name, [kernel = std::move(choice.kernel), view](RunContext& r) {
    const auto* x = reinterpret_cast<const float*>(r.in(0).data);
    run_chain(kernel, view, x, nullptr, reinterpret_cast<float*>(r.out(0).data), r);
  }, 0};
}

std::optional<Lowered> lower_binary(schema::BinaryKind kind, const LowerContext& c) {
  if (!all_f32(c, 2)) return std::nullopt;
  const Shape out = c.out(0).shape();
  const bool swapped = c.in(0).shape() != out;
  if (swapped && c.in(1).shape() != out) return std::nullopt;
  const auto view = view_of(c.in(swapped ? 0 : 1).shape(), out);
  if (!view) return std::nullopt;
  auto choice = pw::select({pw::Stage::of(kind, 0, view->mode, swapped)}, c.isa);
  if (!choice) return std::nullopt;
  return Lowered{choice.name, [kernel = std::move(choice.kernel), view = *view, swapped](RunContext& r) {
    const auto *x = reinterpret_cast<const float*>(r.in(swapped).data), *y = reinterpret_cast<const float*>(r.in(!swapped).data);
    run_chain(kernel, view, x, y, reinterpret_cast<float*>(r.out(0).data), r);
  }, 0};
}
}  // namespace engine
