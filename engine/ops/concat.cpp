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
      check(may_equal(x.dims[d], y.dims[d]), "input ", k, " is ", to_text(x), ", which does not continue ", to_text(in.in(0)), " along axis ", axis);
      if (x.dims[d].known()) y.dims[d] = x.dims[d];
    }
  }
  if (y.ranked && !ranked) y.dims[normal_axis(op.axis, y.rank())] = Dim::unknown();
  return {y};
}

void reference(const Concat& op, RunContext& c) {
  const View y = c.out(0);
  if (y.elements() == 0) return;
  const int64_t axis = normal_axis(op.axis, y.rank());
  const AxisSplit whole(y.shape, axis);
  const int64_t pitch = whole.extent * whole.inner;
  for (int64_t k = 0, first = 0; k < int64_t(c.inputs()); ++k) {
    const ConstView& x = c.in(k);
    const int64_t run = x.shape[axis] * whole.inner;
    for (int64_t o = 0; o < whole.outer; ++o) copy_elements(y, o * pitch + first, x, o * run, run);
    first += run;
  }
}

// The rest is in its place.
struct Copy {
  size_t input;
  int64_t offset, run, pitch;  // bytes: in y, of a row, from row to row of x
};

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
  const Shape shape = c.out(0).shape();
  const int64_t bits = schema::bits_of(c.out(0).dtype), axis = normal_axis(op.axis, int64_t(shape.size()));
  if (c.out(0).dtype == DType::string || bits % 8 || elements(shape) == 0) return std::nullopt;
  const AxisSplit whole(shape, axis);
  if (c.target) return lower_parts(c, whole, axis);
  const int64_t size = bits / 8, rows = whole.outer;
  const int64_t y_pitch = (c.out_pitch() ? c.out_pitch() : whole.extent * whole.inner) * size;
  std::vector<Copy> copies;
  int64_t first = 0, bytes = 0;
  for (size_t k = 0; k < c.node.inputs.size(); ++k) {
    const int64_t run = c.in(k).shape()[size_t(axis)] * whole.inner * size;
    if (run && !c.in_place(k)) copies.push_back({k, first, run, c.in_pitch(k) ? c.in_pitch(k) * size : run}), bytes += run * rows;
    first += run;
  }
  return Lowered{"copy", [=, copies = std::move(copies)](RunContext& r) {
    kernels::run_divided(r.pool(), r.threads(), {.rows = rows, .work = 4 * 2 * bytes}, [&](int64_t from, int64_t to, int64_t, int64_t) {
      for (const Copy& copy : copies) {
        const std::byte* x = r.in(copy.input).data + from * copy.pitch;
        std::byte* y = r.out(0).data + from * y_pitch + copy.offset;
        if (copy.pitch == copy.run && y_pitch == copy.run) std::memcpy(y, x, size_t(copy.run * (to - from)));
        else for (int64_t row = from; row < to; ++row, x += copy.pitch, y += y_pitch) std::memcpy(y, x, size_t(copy.run));
      }
    });
  }};
}

bool takes_pitch(const Concat& op, const Graph& graph, const Node& node, int) {
  const Type& y = graph[node.outputs[0]].type;
  return y.dtype == DType::f32 && y.determined() && normal_axis(op.axis, y.rank()) + 1 == y.rank();
}

void simplify(const Concat&, NodeId n, Rewriter& rewriter) {
  const Node& node = rewriter.graph[n];
  if (node.inputs.size() == 1) rewriter.replace(node.outputs[0], node.inputs[0]);
}
}  // namespace

const OpDef<Concat>& def(const Concat&) {
  static constexpr OpDef<Concat> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .simplify = simplify, .takes_pitch = takes_pitch};
  return def;
}
}  // namespace engine
