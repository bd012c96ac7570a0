// CumSum and CumProd: of real numbers, in double.
#include "engine/device_lowering.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::CumProd, schema::CumSum;

template <class Op> Types infer(const Op&, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_number(0);
  in.expect_dtype(1, {DType::i32, DType::i64});
  in.expect_scalar(1, "the axis");
  if (const auto axis = in.known_scalar(1); axis && axis->known() && in.in(0).ranked)
    normal_axis(axis->value(), in.in(0).rank());
  return {in.in(0)};
}

template <class T> T join(const CumSum&, T a, T b) { return a + b; }
template <class T> T join(const CumProd&, T a, T b) { return a * b; }
constexpr int neutral(const CumSum&) { return 0; }
constexpr int neutral(const CumProd&) { return 1; }

template <class Op> void reference(const Op& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  const AxisSplit at(x.shape, normal_axis(only_int(c.in(1), "the axis"), x.rank()));
  with_carrier(x.dtype, [&]<class T>(T) {
    with_reader<T>(x, [&](auto read) {
      for (int64_t o = 0; o < at.outer; ++o)
        for (int64_t i = 0; i < at.inner; ++i) {
          T sum(neutral(op));
          for (int64_t d = 0; d < at.extent; ++d) {
            const int64_t e = (o * at.extent + (op.reverse ? at.extent - 1 - d : d)) * at.inner + i;
            const T value = read(e);
            if (!op.exclusive) sum = join(op, sum, value);
            store(y, e, sum);
            if (op.exclusive) sum = join(op, sum, value);
          }
        }
    });
  });
}

template <class Op> std::optional<Lowered> lower(const Op& op, const LowerContext& c) {
  if (!c.target || !c.constant(1)) return std::nullopt;
  const Shape x = c.in(0).shape();
  const AxisSplit at(x, normal_axis(only_int(c.constant(1)->view(), "the axis"), int64_t(x.size())));
  return lower_map_on_device(c, &kernels::cuda::Backend::scan, kernels::cuda::ScanProblem{c.in(0).dtype, at.outer, at.extent, at.inner, std::is_same_v<Op, CumProd>, op.exclusive, op.reverse});
}

template <class Op>
constexpr OpDef<Op> definition{.infer = infer<Op>, .reference = reference<Op>, .lower = lower<Op>, .on_device = true, .inplace_input = input_at<Op, 0>};
}  // namespace

const OpDef<CumSum>& def(const CumSum&) { return definition<CumSum>; }
const OpDef<CumProd>& def(const CumProd&) { return definition<CumProd>; }
}  // namespace engine
