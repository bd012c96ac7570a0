#include "engine/ops/pointwise.h"
#include <algorithm>
#include "engine/ops/device_broadcast.h"
#include "engine/ops/strides.h"
#include "kernels/split.h"

namespace engine {
namespace {
namespace pw = kernels::pointwise;
constexpr int64_t small = 8192;  // elements that one thread does sooner than two can share
constexpr int64_t piece = 1024;  // elements of a row that has no others: tasks begin at its multiples

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

// How x and y lie in memory. The rows of a `per_row` operand start over with each of the outer blocks.
struct Layout {
  int64_t outer = 1, rows = 1, columns = 1;
  int64_t x_stride = 0, y_stride = 0;  // elements from row to row
};

// Whole rows, or pieces of the only one.
void run_chain(const pw::Kernel& kernel, const Layout& l, const float* x, const pw::Operands& operands, float* y, RunContext& c) {
  const int64_t rows = l.outer * l.rows, elements = rows * l.columns, moved = elements * (pw::bytes_of(kernel.kept.x) + pw::bytes_of(kernel.kept.y));
  const auto x_at = [&](int64_t element) { return pw::advance(x, element, kernel.kept.x); };
  const auto y_at = [&](int64_t element) { return pw::advance(y, element, kernel.kept.y); };
  if (rows == 1) {
    kernels::run_divided(c.pool(), c.threads(), {.blocks = (l.columns + piece - 1) / piece, .work = 4 * moved}, [&](int64_t, int64_t, int64_t block0, int64_t block1) {
      const int64_t first = block0 * piece, last = std::min(l.columns, block1 * piece);
      const auto at = pw::offset(kernel.chain, operands.data(), 0, first, kernel.kept);
      kernel.run({x_at(first), l.x_stride, y_at(first), l.y_stride, at.data(), 1, last - first});
    });
    return;
  }
  kernels::run_divided(c.pool(), c.threads(), {.rows = rows, .work = 4 * moved}, [&](int64_t r, int64_t end, int64_t, int64_t) {
    while (r < end) {
      const int64_t inside = l.outer == 1 ? r : r % l.rows, count = l.outer == 1 ? end - r : std::min(end - r, l.rows - inside);
      const auto at = pw::offset(kernel.chain, operands.data(), inside, 0, kernel.kept);
      kernel.run({x_at(r * l.x_stride), l.x_stride, y_at(r * l.y_stride), l.y_stride, at.data(), count, l.columns});
      r += count;
    }
  });
}

// A small chain, on one thread. What can be decided before the run is: calling it costs as much as a chain of few elements.
class SmallChain {
 public:
  SmallChain(pw::Kernel kernel, const Chained& chained, size_t x, const Layout& l)
      : kernel_(std::move(kernel)), x_(x), operands_(kernel_.chain.operand_count()), rows_(l.rows), columns_(l.columns), x_stride_(l.x_stride * f32_bytes), y_stride_(l.y_stride * f32_bytes) {
    for (const pw::Stage& s : kernel_.chain) {
      if (!s.binary) continue;
      inputs_[s.operand] = chained.inputs[s.operand];
      strides_[s.operand] = s.mode == pw::Mode::full ? chained.strides[s.operand] * f32_bytes : s.mode == pw::Mode::per_row ? f32_bytes : 0;
    }
  }
  void operator()(RunContext& r) const {
    pw::Cursor cursors[pw::Chain::max_operands];
    for (int i = 0; i < operands_; ++i) cursors[i] = {f32(r.in(inputs_[i])), strides_[i]};
    pw::RawArgs args{f32(r.in(x_)), x_stride_, reinterpret_cast<float*>(r.out(0).data), y_stride_, cursors, rows_, columns_, &kernel_.chain};
    kernel_.function(&args);
  }

 private:
  static constexpr int64_t f32_bytes = sizeof(float);
  pw::Kernel kernel_;
  size_t x_;
  int operands_;
  int64_t rows_, columns_, x_stride_, y_stride_;  // strides in bytes
  size_t inputs_[pw::Chain::max_operands] = {};
  int64_t strides_[pw::Chain::max_operands] = {};
};

bool all_f32(const LowerContext& c) {
  return c.out(0).dtype == DType::f32 && std::ranges::all_of(c.node.inputs, [&](ValueId v) { return v == ValueId::none || c.graph[v].type.dtype == DType::f32; });
}

std::optional<Lowered> lower_chain_on_device(const Chained& chained, size_t x, const Layout& l, const LowerContext& c) {
  const kernels::cuda::PointwiseProblem problem{chained.chain, l.outer, l.rows, l.columns, l.x_stride, l.y_stride, chained.kept_between(c.kept_in(x), c.kept_out())};
  return lower_on_device(c, &kernels::cuda::Backend::pointwise, problem, [from = device_input(c, x), chained](RunContext& r) {
    return kernels::cuda::PointwiseArgs{from.at<void>(r), out_at<void>(r), chained.operands_on_device(r)};
  });
}

std::optional<Lowered> lower_chain(const Chained& chained, size_t x, const Layout& layout, const LowerContext& c) {
  if (c.target) return lower_chain_on_device(chained, x, layout, c);
  auto choice = pw::select(chained.chain, c.isa, chained.kept_between(c.kept_in(x), c.kept_out()));
  if (!choice) return std::nullopt;
  const int64_t elements = layout.rows * layout.columns;
  if (!choice.kernel.kept.any() && layout.outer == 1 && elements <= small && elements > 0 && !pw::Kernel::joins(layout.rows, layout.columns))
    return Lowered{choice.name, SmallChain(std::move(choice.kernel), chained, x, layout)};
  return Lowered{choice.name, [kernel = std::move(choice.kernel), chained, x, layout](RunContext& r) {
    run_chain(kernel, layout, f32(r.in(x)), chained.operands(r), reinterpret_cast<float*>(r.out(0).data), r);
  }};
}
}  // namespace

pw::Operands Chained::operands(const RunContext& r) const {
  pw::Operands all;
  for (size_t i = 0; i < inputs.size(); ++i) all[i] = {f32(r.in(inputs[i])), strides[i]};
  return all;
}

pw::Operands Chained::operands_on_device(const RunContext& r) const {
  pw::Operands all;
  for (size_t i = 0; i < on_device.size(); ++i) all[i] = {on_device[i].at(r), strides[i]};
  return all;
}
void Chained::add_operand(const LowerContext& c, size_t input, int64_t stride) {
  kept.operands[inputs.size()] = c.kept_in(input);
  if (c.target) on_device.push_back(device_input(c, input));
  inputs.push_back(input), strides.push_back(stride);
}

std::optional<pw::Stage> stage_of(const Op& op, size_t chain, const Type& operand, const Shape& out, uint8_t index) {
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

std::optional<Lowered> lower_chain(const Chained& chained, size_t x, const LowerContext& c) {
  const Shape out = c.out(0).shape();
  const int64_t columns = out.empty() ? 1 : out.back(), n = product(out);
  Layout layout{1, columns ? n / columns : 0, columns, c.in_pitch(x), c.out_pitch()};
  bool one_row = !layout.x_stride && !layout.y_stride && !chained.chain.has(pw::Mode::per_column) && !chained.chain.has(pw::Mode::per_row);
  for (const pw::Stage& stage : chained.chain)
    one_row = one_row && (!stage.binary || stage.mode != pw::Mode::full || chained.strides[stage.operand] == columns);
  if (one_row) layout = {1, 1, n, n, n};
  if (!layout.x_stride) layout.x_stride = columns;
  if (!layout.y_stride) layout.y_stride = columns;
  return lower_chain(chained, x, layout, c);
}

std::optional<Lowered> lower_unary(const pw::Stage& stage, const LowerContext& c) {
  if (all_f32(c)) return lower_chain(Chained{{stage}}, 0, c);
  if (!c.target) return std::nullopt;
  return lower_broadcast({.kind = kernels::cuda::BroadcastProblem::unary, .function = stage.unary, .a = stage.a, .b = stage.b, .type = c.in(0).dtype, .out = c.out(0).dtype}, c);
}

std::optional<Lowered> lower_broadcast_binary(schema::BinaryKind kind, const LowerContext& c) {
  using kernels::cuda::BroadcastProblem;
  if (!c.target || c.in(0).dtype != c.in(1).dtype) return std::nullopt;
  return lower_broadcast({.kind = BroadcastProblem::binary, .op = kind, .type = c.in(0).dtype, .out = c.out(0).dtype}, c);
}

std::optional<Lowered> lower_binary(schema::BinaryKind kind, const LowerContext& c) {
  if (!all_f32(c)) return lower_broadcast_binary(kind, c);
  const Shape out = c.out(0).shape();
  const bool swapped = c.in(0).shape() != out;
  if (swapped && c.in(1).shape() != out) return lower_broadcast_binary(kind, c);
  const size_t x = swapped, y = !swapped;
  if (const auto stage = stage_of(c.node.op, x, c.in(y), out, 0)) {
    const int64_t stride = c.in_pitch(y) ? c.in_pitch(y) : out.empty() ? 1 : out.back();
    Chained chained{{*stage}};
    chained.add_operand(c, y, stride);
    return lower_chain(chained, x, c);
  }
  const auto view = view_of(c.in(y).shape(), out);
  if (!view) return lower_broadcast_binary(kind, c);
  const Layout layout{view->outer, view->rows, view->columns, view->columns, view->columns};
  Chained chained{{pw::Stage::of(kind, 0, view->mode, swapped)}};
  chained.add_operand(c, y, view->columns);
  return lower_chain(chained, x, layout, c);
}

bool pointwise_takes_pitch(const Graph& graph, const Node& node, int port) {
  const auto type = [&](ValueId v) -> const Type& { return graph[v].type; };
  const auto usable = [&](ValueId v) { return type(v).dtype == DType::f32 && type(v).determined(); };
  if (!usable(node.outputs[0]) || !std::ranges::all_of(node.inputs, usable)) return false;
  const Shape out = type(node.outputs[0]).shape();
  if (port >= 0 && type(node.inputs[size_t(port)]).shape() != out) return false;
  const size_t x = type(node.inputs[0]).shape() != out;
  if (type(node.inputs[x]).shape() != out) return false;
  return stage_of(node.op, x, type(node.inputs.size() > 1 ? node.inputs[1 - x] : node.inputs[0]), out, 0).has_value();
}
}  // namespace engine
