#include "engine/ops/bodies.h"
#include "engine/ops/doubles.h"

namespace engine {
namespace {
using schema::Scan;

int64_t entry(const schema::Ints& list, size_t k) { return list.empty() ? 0 : list[k]; }

void check_list(const schema::Ints& list, size_t count, const char* what) {
  check(list.empty() || list.size() == count, "there are ", list.size(), ' ', what, " where ", count, " are needed");
}
void check_directions(const schema::Ints& list, size_t count, const char* what) {
  check_list(list, count, what);
  for (int64_t d : list) check(d == 0 || d == 1, "direction ", d, " is neither 0 nor 1");
}

Types infer(const Scan& op, const InferContext& in) {
  check(op.states >= 0 && op.scans >= 1 && op.states <= limits::ports && op.scans <= limits::ports, "has ", op.states, " states and ", op.scans, " sequences");
  const size_t states = size_t(op.states), scans = size_t(op.scans);
  in.expect_inputs(states + scans, size_t(limits::ports));
  check(in.bodies() == 1, "has ", in.bodies(), " bodies instead of 1");
  const Graph& body = in.body(0);
  check(body.inputs.size() == in.inputs(), "the body has ", body.inputs.size(), " inputs instead of ", in.inputs());
  check(body.outputs.size() >= states && in.outputs() <= body.outputs.size(), "the body has ", body.outputs.size(), " outputs for ", in.outputs(), " of the scan");
  const size_t stacked = body.outputs.size() - states;
  check_list(op.input_axes, scans, "input axes"), check_list(op.output_axes, stacked, "output axes");
  check_directions(op.input_directions, scans, "input directions"), check_directions(op.output_directions, stacked, "output directions");
  Dim length = Dim::unknown();
  Types inputs;
  std::vector<std::optional<Dims>> ints(states + scans);
  for (size_t k = 0; k < in.inputs(); ++k) {
    Type type = in.in(k);
    if (k >= states + scans) ints.push_back(in.ints(k));
    if (k >= states && k < states + scans) {
      in.expect_tensor(k);
      if (type.ranked) {
        const int64_t axis = normal_axis(entry(op.input_axes, k - states), type.rank(), "the axis of a sequence");
        const Dim& extent = type.dims[size_t(axis)];
        check(may_equal(length, extent), "sequences have ", length.text(), " and ", extent.text(), " entries");
        if (!length.known()) length = extent;
        type.dims.erase(type.dims.begin() + axis);
      }
    }
    inputs.push_back(std::move(type));
  }
  Types types = infer_loop(body, inputs, 0, 0, states, ints);
  types.resize(in.outputs());
  for (size_t k = states; k < types.size(); ++k) {
    check(types[k].is_tensor(), "scan output ", k - states, " is ", types[k]);
    if (types[k].ranked) types[k].dims.insert(types[k].dims.begin() + normal_axis(entry(op.output_axes, k - states), types[k].rank() + 1), length);
  }
  return types;
}

// Copies entry t of a sequence.
void take(Object& to, const ConstView& x, int64_t axis, int64_t t) {
  Shape shape = shape_of(x);
  const int64_t length = shape[size_t(axis)], outer = elements(x.shape.first(size_t(axis))), run = elements(x.shape.subspan(size_t(axis) + 1));
  shape.erase(shape.begin() + axis);
  const View slice = to.set_tensor(x.dtype, shape);
  for (int64_t o = 0; o < outer; ++o) copy_elements(slice, o * run, x, (o * length + t) * run, run);
}

void reference(const Scan& op, RunContext& c) {
  const size_t states = size_t(op.states), scans = size_t(op.scans), stacked = c.outputs() - std::min(c.outputs(), states);
  std::vector<ConstView> in;
  for (size_t k = 0; k < c.inputs(); ++k) in.push_back(c.in(k));
  std::vector<int64_t> axes;
  int64_t length = 0;
  for (size_t k = 0; k < scans; ++k) {
    const ConstView& x = c.in(states + k);
    axes.push_back(normal_axis(entry(op.input_axes, k), x.rank(), "the axis of a sequence"));
    const int64_t extent = x.shape[size_t(axes[k])];
    check(k == 0 || extent == length, "sequences have ", length, " and ", extent, " entries");
    length = extent;
  }
  // A body's outputs live until it runs again, and may be its inputs: what one run leaves is copied beside what it took.
  std::vector<Object> kept[2] = {std::vector<Object>(states), std::vector<Object>(states)}, slices(scans);
  std::vector<Stack> stacks(stacked);
  for (int64_t t = 0; t < length; ++t) {
    c.check_stop();
    for (size_t k = 0; k < scans; ++k) {
      take(slices[k], c.in(states + k), axes[k], entry(op.input_directions, k) ? length - 1 - t : t);
      in[states + k] = std::as_const(slices[k]).view();
    }
    const auto out = c.body(0).run(in);
    for (size_t k = 0; k < stacked; ++k) stacks[k].append(out[states + k]);
    for (size_t k = 0; k < states; ++k) {
      Object& to = kept[t % 2][k];
      to.assign(out[k]);
      in[k] = std::as_const(to).view();
    }
  }
  for (size_t k = 0; k < std::min(states, c.outputs()); ++k)
    if (c.wants(k)) c.set_out(k, in[k]);
  const Types declared = c.body(0).output_types();
  for (size_t k = 0; k < stacked; ++k)
    if (c.wants(states + k)) stacks[k].finish(c, states + k, declared.at(states + k), entry(op.output_axes, k), entry(op.output_directions, k) != 0);
}
}  // namespace

const OpDef<Scan>& def(const Scan&) {
  static constexpr OpDef<Scan> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
