#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::BatchNorm;

Types infer(const BatchNorm&, const InferContext& in) {
  in.expect_inputs(5, 5);
  for (size_t k = 0; k < 5; ++k) in.expect_class(k, schema::DTypeClass::real);
  const Type& x = in.in(0);
  check(!x.ranked || x.rank() >= 1, "is not defined on a scalar");
  for (size_t k = 1; k < 5; ++k) {
    const Type& t = in.in(k);
    const Dim channels = !x.ranked ? Dim::unknown() : x.rank() > 1 ? x.dims[1] : Dim(1);
    check(!t.ranked || (t.rank() == 1 && may_equal(t.dims[0], channels)), "input ", k, " is ", t,
          ", not one number per channel of ", x);
  }
  return {x};
}

void reference(const BatchNorm& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  if (y.elements() == 0) return;
  const int64_t channels = x.rank() > 1 ? x.shape[1] : 1, inner = x.rank() > 1 ? product(x.shape.subspan(2)) : 1;
  with_reader<double>(x, [&](auto read) {
    for (int64_t n = 0, i = 0; n < x.shape[0]; ++n)
      for (int64_t k = 0; k < channels; ++k) {
        const double factor = load<double>(c.in(1), k) / std::sqrt(load<double>(c.in(4), k) + op.epsilon);
        const double mean = load<double>(c.in(3), k), bias = load<double>(c.in(2), k);
        for (int64_t end = i + inner; i < end; ++i) store(y, i, (read(i) - mean) * factor + bias);
      }
  });
}

double flops(const BatchNorm&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() ? 2.0 * double(elements(in[0].shape())) : 0;
}
}  // namespace

const OpDef<BatchNorm>& def(const BatchNorm&) {
  static constexpr OpDef<BatchNorm> def{.infer = infer, .reference = reference, .inplace_input = input_at<BatchNorm, 0>, .flops = flops};
  return def;
}
}  // namespace engine
