#include <algorithm>
#include <bitset>
#include "engine/device_lowering.h"
#include "engine/ops/strides.h"
#include "kernels/pad/pad.h"

namespace engine {
namespace {
using schema::Pad, schema::PadMode;

// Pads of each dim, at its begin and its end.
struct Pads {
  Extents begin, end;
};
Pads full_pads(std::span<const int64_t> given, const std::optional<Extents>& axes, int64_t rank) {
  Pads pads{Extents(size_t(rank)), Extents(size_t(rank))};
  const size_t n = axes ? axes->size() : size_t(rank);
  check(given.size() == 2 * n, given.size(), " pads do not fit ", n, " axes");
  std::bitset<limits::rank> seen;
  for (size_t i = 0; i < n; ++i) {
    const int64_t axis = axes ? normal_axis((*axes)[i], rank) : int64_t(i);
    check(!seen[size_t(axis)], "axis ", axis, " is given twice");
    seen[size_t(axis)] = true;
    for (int64_t pad : {given[i], given[i + n]})
      check(pad >= -limits::extent && pad <= limits::extent, "pad ", pad, " is larger than this build allows");
    pads.begin[axis] = given[i], pads.end[axis] = given[i + n];
  }
  return pads;
}

Type result(const Pad& op, const Type& x, const Pads& pads) {
  Type y = x;
  for (size_t d = 0; d < x.dims.size(); ++d) {
    const int64_t begin = pads.begin[d], end = pads.end[d];
    y.dims[d] = x.dims[d] + (begin + end);
    if (!x.dims[d].known()) continue;
    const int64_t kept = x.dims[d].value() + std::min<int64_t>(begin, 0) + std::min<int64_t>(end, 0);
    check(kept >= 0 && (kept > 0 || op.mode == PadMode::constant || begin + end + x.dims[d].value() == 0), "pads ",
          begin, " and ", end, " do not fit dim ", d, " of ", x, " in mode ", name(op.mode));
  }
  return y;
}

Types infer(const Pad& op, const InferContext& in) {
  in.expect_inputs(2, 4);
  in.expect_tensor(0);
  in.expect_dtype(1, {DType::i64});
  if (in.has(2)) in.expect_same_dtype(0, 2);
  if (in.has(2)) check(!in.in(2).ranked || std::ranges::all_of(in.in(2).dims, [](const Dim& d) { return may_equal(d, 1); }), "the value must be one element");
  if (in.has(3)) in.expect_dtype(3, {DType::i32, DType::i64});
  const Type& x = in.in(0);
  if (!x.ranked) return {x};
  const auto pads = in.known_ints(1), axes = in.known_ints(3);
  if (!pads || (in.has(3) && !axes)) return {Type::tensor(x.dtype, Dims(x.dims.size(), Dim::unknown()))};
  return {result(op, x, full_pads(*pads, axes ? std::optional<Extents>(*axes) : std::nullopt, x.rank()))};
}

// For each position along a dim of y, writes the position in x; -1 for padding. Negative pads crop first, and the other
// modes repeat what is left.
void sources(PadMode mode, int64_t extent, int64_t begin, int64_t end, std::span<int64_t> from) {
  const int64_t first = std::max<int64_t>(0, -begin), kept = extent - first - std::max<int64_t>(0, -end);
  const int64_t period = std::max<int64_t>(1, 2 * (kept - 1));
  const auto wrap = [](int64_t i, int64_t n) { return (i % n + n) % n; };
  for (size_t k = 0; k < from.size(); ++k) {
    const int64_t i = int64_t(k) - std::max<int64_t>(0, begin);
    if (i >= 0 && i < kept) from[k] = first + i;
    else if (mode == PadMode::constant) from[k] = -1;
    else if (mode == PadMode::edge) from[k] = first + std::clamp<int64_t>(i, 0, kept - 1);
    else if (mode == PadMode::wrap) from[k] = first + wrap(i, kept);
    else from[k] = first + std::min(wrap(i, period), period - wrap(i, period));
  }
}

void reference(const Pad& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const int64_t rank = x.rank();
  const Pads pads = full_pads(small_ints(c.in(1)), c.has(3) ? std::optional(small_ints(c.in(3))) : std::nullopt, rank);
  const View y = c.sized(0) ? c.out(0) : c.set_out(0, x.dtype, result(op, Type::tensor(x.dtype, Shape(x.shape.begin(), x.shape.end())), pads).shape());
  if (y.elements() == 0) return;
  if (rank == 0) return copy_tensor(y, x);
  static const std::string no_text;
  static constexpr std::byte zero[8] = {};
  const auto* nothing = x.dtype == DType::string ? reinterpret_cast<const std::byte*>(&no_text) : zero;
  const ConstView value = c.has(2) ? c.in(2) : ConstView{x.dtype, {}, nothing, nullptr};
  int64_t positions = 0;
  for (int64_t extent : y.shape) positions += extent;
  std::span<int64_t> rest = c.workspace<int64_t>(size_t(positions));
  std::array<std::span<int64_t>, limits::rank> from;
  for (int64_t d = 0; d < rank; ++d) {
    from[d] = rest.first(size_t(y.shape[d])), rest = rest.subspan(size_t(y.shape[d]));
    sources(op.mode, x.shape[d], pads.begin[d], pads.end[d], from[d]);
  }
  const Extents strides = dense_strides(x.shape);
  const std::span<const int64_t> row = from[rank - 1];
  const int64_t n = int64_t(row.size()), left = std::clamp<int64_t>(pads.begin.back(), 0, n), skipped = std::max<int64_t>(0, -pads.begin.back());
  const int64_t run = std::max<int64_t>(0, std::min(n - left, x.shape.back() - skipped - std::max<int64_t>(0, -pads.end.back())));
  Extents index(size_t(rank) - 1);
  for (int64_t to = 0, total = y.elements(); to < total; to += n) {
    int64_t base = 0;
    bool padding = false;
    for (int64_t d = 0; d + 1 < rank; ++d) padding |= from[d][index[d]] < 0, base += from[d][index[d]] * strides[d];
    if (padding) {
      fill(y, to, n, value);
    } else {
      copy_elements(y, to + left, x, base + skipped, run);
      const auto edge = [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) {
          if (row[i] < 0) fill(y, to + i, 1, value);
          else copy_elements(y, to + i, x, base + row[i], 1);
        }
      };
      edge(0, left), edge(left + run, n);
    }
    for (int64_t d = rank - 1; d-- > 0;) {
      if (++index[d] < y.shape[d]) break;
      index[d] = 0;
    }
  }
}

std::optional<Lowered> lower_pad_on_device(const kernels::pad::Spec& spec, const LowerContext& c) {
  using kernels::cuda::PadProblem;
  PadProblem problem{.element_bytes = spec.element_bytes, .mode = spec.mode, .dims = int(spec.dims.size())};
  if (problem.dims > PadProblem::most_dims) return std::nullopt;
  for (size_t d = 0; d < spec.dims.size(); ++d) problem.extents[d] = spec.dims[d].extent, problem.begin[d] = spec.dims[d].begin, problem.end[d] = spec.dims[d].end;
  return lower_on_device(c, &kernels::cuda::Backend::pad, problem, [x = device_input(c, 0), value = device_input(c, 2)](RunContext& r) {
    return kernels::cuda::PadArgs{x.at<void>(r), value.at<void>(r), out_at<void>(r)};
  });
}

std::optional<Lowered> lower(const Pad& op, const LowerContext& c) {
  const Type& x = c.in(0);
  const Constant *given = c.constant(1), *axes = c.constant(3);
  if (!given || (c.has(3) && !axes) || x.dtype == DType::string || bits_of(x.dtype) % 8) return std::nullopt;
  const Pads pads = full_pads(small_ints(given->view()), axes ? std::optional(small_ints(axes->view())) : std::nullopt, x.rank());
  kernels::pad::Spec spec{bits_of(x.dtype) / 8, op.mode, {}};
  const Shape shape = x.shape();
  for (size_t d = 0; d < shape.size(); ++d) spec.dims.push_back({shape[d], pads.begin[d], pads.end[d]});
  if (c.target) return lower_pad_on_device(spec, c);
  auto choice = kernels::pad::select(spec, c.isa);
  if (!choice) return std::nullopt;
  return Lowered{choice.name, [kernel = std::move(choice.kernel)](RunContext& r) {
    kernel.run(r.in(0).data, r.has(2) ? r.in(2).data : nullptr, r.out(0).data, r.pool(), r.threads());
  }};
}

// No pads at all.
void simplify(const Pad&, NodeId n, Rewriter& rewriter) {
  const Node& node = rewriter.graph[n];
  const Constant* pads = rewriter.graph[node.inputs[1]].constant.get();
  if (pads && std::ranges::all_of(to_ints(pads->view()), [](int64_t p) { return p == 0; })) rewriter.replace(node.outputs[0], node.inputs[0]);
}
}  // namespace

const OpDef<Pad>& def(const Pad&) {
  static constexpr OpDef<Pad> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .simplify = simplify};
  return def;
}
}  // namespace engine
