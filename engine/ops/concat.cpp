#include "engine/ops/device_copies.h"
#include "kernels/split.h"

namespace engine {
namespace {
using schema::Concat;

Types infer(const Concat& op, const InferContext& in) {
  in.expect_inputs(1, size_t(limits::ports));
  for (size_t k = 0; k < in.inputs(); ++k) in.expect_same_dtype(0, k);
  const DType dtype = in.in(0).dtype;
  Type y = Type::unranked(dtype);
  bool ranked = true;
  for (size_t k = 0; k < in.inputs(); ++k) {
    const Type& x = in.in(k);
    ranked &= x.ranked;
    if (!x.ranked) continue;
    const int64_t axis = normal_axis(op.axis, x.rank());
    if (!y.ranked) {
      y = x;
      continue;
    }
    check(x.rank() == y.rank(), "inputs have ranks ", y.rank(), " and ", x.rank());
    for (int64_t d = 0; d < x.rank(); ++d) {
      if (d == axis) {
        y.dims[d] = y.dims[d] + x.dims[d];
        continue;
      }
      check(may_equal(x.dims[d], y.dims[d]), "input ", k, " is ", x, ", which does not continue ", in.in(0),
            " along axis ", axis);
      if (x.dims[d].known()) y.dims[d] = x.dims[d];
    }
  }
  if (y.ranked && !ranked) y.dims[normal_axis(op.axis, y.rank())] = Dim::unknown();
  return {y};
}

// Extents that inference saw as symbols.
void check_extents(const RunContext& c, int64_t axis) {
  const auto y = c.out(0).shape;
  for (size_t k = 0; k < c.inputs(); ++k)
    for (size_t d = 0; d < y.size(); ++d)
      if (int64_t(d) != axis && c.in(k).shape[d] != y[d])
        fail(Code::invalid_argument, "input ", k, " is ", c.in(k).shape, ", which does not continue ", c.in(0).shape,
             " along axis ", axis);
}

void reference(const Concat& op, RunContext& c) {
  const View y = c.out(0);
  const int64_t axis = normal_axis(op.axis, y.rank());
  check_extents(c, axis);
  if (y.elements() == 0) return;
  const AxisSplit whole(y.shape, axis);
  const int64_t pitch = whole.extent * whole.inner;
  for (int64_t k = 0, first = 0; k < int64_t(c.inputs()); ++k) {
    const ConstView& x = c.in(k);
    const int64_t run = x.shape[axis] * whole.inner;
    for (int64_t o = 0; o < whole.outer; ++o) copy_elements(y, o * pitch + first, x, o * run, run);
    first += run;
  }
}

std::optional<Lowered> lower_parts(const LowerContext& c, const AxisSplit& whole, int64_t axis) {
  std::vector<StridedCopy> copies;
  int64_t first = 0;
  for (size_t k = 0; k < c.node.inputs.size(); ++k) {
    const int64_t run = c.in(k).shape()[size_t(axis)] * whole.inner;
    copies.push_back({k, 0, {{whole.outer, run}, {Extents{whole.extent * whole.inner, 1}, Extents{run, 1}}}, {first, 0}});
    first += run;
  }
  return lower_copies(c, copies);
}

std::optional<Lowered> lower(const Concat& op, const LowerContext& c) {
  const Type& type = c.out(0);
  const int64_t size = schema::bits_of(c.kept_out()) / 8, axis = normal_axis(op.axis, type.rank());
  if (type.dtype == DType::string || schema::bits_of(type.dtype) % 8 || (type.determined() && elements(type.shape()) == 0)) return std::nullopt;
  if (c.target) return lower_parts(c, AxisSplit(type.shape(), axis), axis);
  for (size_t k = 0; k < c.node.inputs.size(); ++k)
    if (c.kept_in(k) != c.kept_out()) return std::nullopt;
  struct Copy {
    bool needed;  // the rest is in its place
    int64_t pitch;  // elements from row to row; 0: as many as it has
  };
  std::vector<Copy> copies;
  for (size_t k = 0; k < c.node.inputs.size(); ++k) copies.push_back({!c.in_place(k), c.in_pitch(k)});
  return Lowered{"copy", [axis, size, y_pitch = c.out_pitch(), copies = std::move(copies)](RunContext& r) {
    const View& y = r.out(0);
    check_extents(r, axis);
    const AxisSplit whole(y.shape, axis);
    const int64_t to_pitch = (y.pitch ? y.pitch : y_pitch ? y_pitch : whole.extent * whole.inner) * size;
    const auto run_of = [&](size_t k) { return r.in(k).shape[size_t(axis)] * whole.inner * size; };
    const auto needed = [&](size_t k) { return copies[k].needed && !(y.pitch && y.pitch == r.in(k).pitch && y.data == r.in(k).data); };
    int64_t bytes = 0;
    for (size_t k = 0; k < copies.size(); ++k) bytes += needed(k) ? run_of(k) * whole.outer : 0;
    if (bytes == 0) return;
    kernels::run_divided(r.pool(), r.threads(), {.rows = whole.outer, .work = 4 * 2 * bytes}, [&](int64_t from, int64_t to, int64_t, int64_t) {
      int64_t first = 0;
      for (size_t k = 0; k < copies.size(); ++k) {
        const int64_t apart = r.in(k).pitch ? r.in(k).pitch : copies[k].pitch, run = run_of(k), pitch = apart ? apart * size : run;
        const std::byte* x = r.in(k).data + from * pitch;
        std::byte* out = y.data + from * to_pitch + first;
        first += run;
        if (!needed(k) || run == 0) continue;
        if (pitch == run && to_pitch == run) std::memcpy(out, x, size_t(run * (to - from)));
        else if (run == sizeof(float)) for (int64_t row = from; row < to; ++row, x += pitch, out += to_pitch) std::memcpy(out, x, sizeof(float));
        else for (int64_t row = from; row < to; ++row, x += pitch, out += to_pitch) std::memcpy(out, x, size_t(run));
      }
    });
  }};
}

bool takes_pitch(const Concat& op, const Graph& graph, const Node& node, int) {
  const Type& y = graph[node.outputs[0]].type;
  return y.dtype == DType::f32 && y.determined() && normal_axis(op.axis, y.rank()) + 1 == y.rank();
}

bool takes_room(const Concat& op, int64_t rank, int port) { return rank >= 2 && port <= 0 && normal_axis(op.axis, rank) == rank - 2; }

void simplify(const Concat&, NodeId n, Rewriter& rewriter) {
  const Node& node = rewriter.graph[n];
  if (node.inputs.size() == 1) rewriter.replace(node.outputs[0], node.inputs[0]);
}
}  // namespace

const OpDef<Concat>& def(const Concat&) {
  static constexpr OpDef<Concat> def{.infer = infer, .reference = reference, .lower = lower, .bounded = true, .on_device = true, .keeps_half = true, .cpu_keeps_half = true, .simplify = simplify, .takes_pitch = takes_pitch, .takes_room = takes_room};
  return def;
}
}  // namespace engine
