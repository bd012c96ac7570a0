#include "engine/op.h"

namespace engine {
namespace {
using schema::NonZero;

Types infer(const NonZero&, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  const Type& x = in.in(0);
  return {Type::tensor(DType::i64, {x.ranked ? Dim(x.rank()) : Dim::unknown(), Dim::unknown()})};
}

void reference(const NonZero&, RunContext& c) {
  const ConstView& x = c.in(0);
  Scratch<int64_t> found;
  for (int64_t i = 0, n = x.elements(); i < n; ++i) {
    const bool set = x.dtype == DType::string ? !x.as<std::string>()[i].empty()
                                              : with_carrier(x.dtype, [&]<class T>(T) { return load<T>(x, i) != T(0); });
    if (set) found.push_back(i);
  }
  const int64_t count = int64_t(found.size()), shape[] = {x.rank(), count};
  const View y = c.set_out(0, DType::i64, shape);
  const auto out = y.as<int64_t>();
  for (int64_t k = 0; k < count; ++k)
    for (int64_t axis = x.rank() - 1, rest = found[k]; axis >= 0; rest /= x.shape[axis], --axis)
      out[axis * count + k] = rest % x.shape[axis];
}
}  // namespace

const OpDef<NonZero>& def(const NonZero&) {
  static constexpr OpDef<NonZero> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
