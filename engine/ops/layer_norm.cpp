#include <algorithm>
#include "engine/device_lowering.h"
#include "engine/ops/moments.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::LayerNorm;

Types infer(const LayerNorm& op, const InferContext& in) {
  in.expect_inputs(2, op.rms ? 2 : 3);
  for (size_t k = 0; k < in.inputs(); ++k)
    if (in.has(k)) in.expect_class(k, schema::DTypeClass::real);
  check(in.outputs() <= (op.rms ? 1 : 3), "has too many outputs");
  const Type& x = in.in(0);
  Type statistics = Type::unranked(DType::f32);
  if (x.ranked) {
    const int64_t axis = normal_axis(op.axis, x.rank());
    for (size_t k = 1; k < in.inputs(); ++k) {
      if (!in.has(k) || !in.in(k).ranked) continue;
      const Dims& dims = in.in(k).dims;
      bool fits = dims.size() <= x.dims.size();
      for (size_t d = 0; fits && d < dims.size(); ++d)
        fits = dims[d] == Dim(1) || may_equal(dims[d], x.dims[x.dims.size() - dims.size() + d]);
      check(fits, "input ", k, " is ", to_text(in.in(k)), ", which does not broadcast to ", to_text(x));
    }
    statistics = Type::tensor(DType::f32, x.dims);
    std::fill(statistics.dims.begin() + axis, statistics.dims.end(), Dim(1));
  }
  Types types = {x, statistics, statistics};
  types.resize(in.outputs());
  return types;
}

void reference(const LayerNorm& op, RunContext& c) {
  const ConstView &x = c.in(0), &scale = c.in(1);
  const View y = c.out(0);
  const int64_t axis = normal_axis(op.axis, x.rank()), size = product(x.shape.subspan(axis));
  const int64_t count = product(x.shape.first(axis));
  if (size == 0 && !c.wants(1)) return;
  const Nest<2> nest{x.shape,
                     {broadcast_strides(scale.shape, x.shape.size()), c.has(2) ? broadcast_strides(c.in(2).shape, x.shape.size()) : Extents(x.shape.size())}};
  const auto inverses = c.workspace<Moments>(size_t(count));  // of each row: its mean, and 1 / standard deviation
  with_reader<double>(x, [&](auto read) {
    for (int64_t r = 0; r < count; ++r) {
      inverses[r] = moments(read, r * size, size, !op.rms);
      inverses[r].variance = 1 / std::sqrt(inverses[r].variance + op.epsilon);
    }
    int64_t i = 0;
    nest.rows({}, [&](const auto& at) {
      const Moments& m = inverses[i / size];  // a row of the nest lies in one row of the norm
      for (int64_t k = 0; k < nest.extents.back(); ++k, ++i) {
        const double bias = c.has(2) ? load<double>(c.in(2), at[1] + k * nest.strides[1].back()) : 0;
        store(y, i, (read(i) - m.mean) * m.variance * load<double>(scale, at[0] + k * nest.strides[0].back()) + bias);
      }
    });
  });
  for (size_t k = 1; k < 3; ++k)
    if (c.wants(k))
      for (int64_t r = 0; r < count; ++r) store(c.out(k), r, k == 1 ? inverses[r].mean : inverses[r].variance);
}

// Of f32, with one scale and one bias for each element of a row.
std::optional<Lowered> lower(const LayerNorm& op, const LowerContext& c) {
  const Shape x = c.in(0).shape();
  const int64_t axis = normal_axis(op.axis, int64_t(x.size())), size = product(std::span(x).subspan(size_t(axis)));
  if (!c.target || c.node.outputs.size() > 1) return std::nullopt;
  for (size_t k = 0; k < c.node.inputs.size(); ++k)
    if (c.has(k) && (c.in(k).dtype != DType::f32 || (k && elements(c.in(k).shape()) != size))) return std::nullopt;
  const kernels::cuda::NormProblem problem{product(std::span(x).first(size_t(axis))), size, 1, 1, op.epsilon, op.rms};
  return lower_on_device(c, &kernels::cuda::Backend::norm, problem, [x = device_input(c, 0), scale = device_input(c, 1), bias = device_input(c, 2)](RunContext& r) {
    return kernels::cuda::NormArgs{x.at(r), scale.at(r), bias.at(r), out_at(r)};
  });
}

// Two passes for the moments, one for the result.
double flops(const LayerNorm&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() ? 7.0 * double(elements(in[0].shape())) : 0;
}
}  // namespace

const OpDef<LayerNorm>& def(const LayerNorm&) {
  static constexpr OpDef<LayerNorm> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
