#include <algorithm>
#include "engine/device_lowering.h"
#include "engine/ops/moments.h"
#include "engine/ops/strides.h"
#include "kernels/norm/norm.h"

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
      check(fits, "input ", k, " is ", in.in(k), ", which does not broadcast to ", x);
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

std::optional<Lowered> lower_on_device(const LowerContext& c, int64_t rows, int64_t columns, const LayerNorm& op) {
  for (const size_t k : {1, 2})
    if (c.kept_in(k) != DType::f32 || (c.makes(k) && c.kept_out(k) != DType::f32)) return std::nullopt;
  const kernels::cuda::NormProblem problem{rows, columns, 1, 1, op.epsilon, op.rms, c.kept_in(0), c.kept_out()};
  return engine::lower_on_device(
      c, &kernels::cuda::Backend::norm, problem,
      [x = device_input(c, 0), scale = device_input(c, 1), bias = device_input(c, 2)](RunContext& r) {
        return kernels::cuda::NormArgs{x.at<void>(r),   scale.at(r),  bias.at(r),
                                       out_at<void>(r), out_at(r, 1), out_at(r, 2)};
      });
}

std::optional<Lowered> lower(const LayerNorm& op, const LowerContext& c) {
  const Shape x = c.in(0).shape();
  const int64_t axis = normal_axis(op.axis, int64_t(x.size()));
  const auto normalised = std::span(x).subspan(size_t(axis));
  // One number for each element of a row: leading extents of 1 change nothing.
  const auto whole = [&](size_t k) {
    const Shape s = c.in(k).shape();
    if (c.in(k).dtype != DType::f32 || s.size() < normalised.size()) return false;
    const auto last = std::span(s).last(normalised.size());
    return std::ranges::equal(last, normalised) && product(std::span(s)) == product(last);
  };
  if (c.in(0).dtype != DType::f32 || (!c.target && c.node.outputs.size() > 1) || !whole(1) || (c.has(2) && !whole(2)))
    return std::nullopt;
  const int64_t rows = product(std::span(x).first(size_t(axis)));
  if (c.target) return lower_on_device(c, rows, product(normalised), op);
  auto choice = kernels::norm::select({product(normalised), op.rms, float(op.epsilon)}, c.isa);
  if (!choice) return std::nullopt;
  return Lowered{choice.name, [kernel = std::move(choice.kernel), rows, bias = c.has(2)](RunContext& r) {
    const auto floats = [&](size_t k) { return reinterpret_cast<const float*>(r.in(k).data); };
    kernel.run(floats(0), floats(1), bias ? floats(2) : nullptr, reinterpret_cast<float*>(r.out(0).data), rows, r.pool(), r.threads());
  }};
}
int inplace(const LayerNorm&, const Node& node) { return node.outputs.size() == 1 ? 0 : -1; }

// Two passes for the moments, one for the result.
double flops(const LayerNorm&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() ? 7.0 * double(elements(in[0].shape())) : 0;
}
}  // namespace

const OpDef<LayerNorm>& def(const LayerNorm&) {
  static constexpr OpDef<LayerNorm> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .inplace_input = inplace, .flops = flops};
  return def;
}
}  // namespace engine
