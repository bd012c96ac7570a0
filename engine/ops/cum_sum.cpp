#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::CumSum;

Types infer(const CumSum&, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_number(0);
  in.expect_dtype(1, {DType::i32, DType::i64});
  check(!in.in(1).ranked || in.in(1).rank() == 0 || may_equal(in.in(1).dims[0], 1), "the axis must be a scalar");
  if (const auto axis = in.known_ints(1); axis && axis->size() == 1 && in.in(0).ranked) normal_axis((*axis)[0], in.in(0).rank());
  return {in.in(0)};
}

void reference(const CumSum& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  check(c.in(1).elements() == 1, "the axis must be one number");
  const AxisSplit at(x.shape, normal_axis(load<Int>(c.in(1), 0).v, x.rank()));
  with_carrier(x.dtype, [&]<class T>(T) {
    for (int64_t o = 0; o < at.outer; ++o)
      for (int64_t i = 0; i < at.inner; ++i) {
        T sum(0);
        for (int64_t d = 0; d < at.extent; ++d) {
          const int64_t e = (o * at.extent + (op.reverse ? at.extent - 1 - d : d)) * at.inner + i;
          const T value = load<T>(x, e);
          if (!op.exclusive) sum = sum + value;
          store(y, e, sum);
          if (op.exclusive) sum = sum + value;
        }
      }
  });
}
}  // namespace

const OpDef<CumSum>& def(const CumSum&) {
  static constexpr OpDef<CumSum> def{.infer = infer, .reference = reference, .inplace_input = input_at<CumSum, 0>};
  return def;
}
}  // namespace engine
