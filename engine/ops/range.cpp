#include <cmath>
#include "engine/op.h"

namespace engine {
namespace {
using schema::Range;

// How many elements there are from start to limit.
template <class T> int64_t count(T start, T limit, T delta) {
  if constexpr (std::is_floating_point_v<T>) {
    check(delta != 0 && std::isfinite(delta) && std::isfinite(start) && std::isfinite(limit), "expects finite numbers and a step that is not zero");
    const double n = std::ceil((limit - start) / delta);
    require(n <= double(limits::extent), Code::limit, "would have ", n, " elements");
    return n > 0 ? int64_t(n) : 0;
  } else {
    check(delta.v != 0, "the step is zero");
    const bool up = delta.v > 0;
    if (up ? limit.v <= start.v : limit.v >= start.v) return 0;
    // Which 64 bits hold without a sign.
    const uint64_t distance = up ? uint64_t(limit.v) - uint64_t(start.v) : uint64_t(start.v) - uint64_t(limit.v);
    const uint64_t step = up ? uint64_t(delta.v) : -uint64_t(delta.v), n = distance / step + (distance % step != 0);
    require(n <= uint64_t(limits::extent), Code::limit, "would have too many elements");
    return int64_t(n);
  }
}

int64_t count(const ConstView& start, const ConstView& limit, const ConstView& delta) {
  return with_carrier(start.dtype, [&]<class T>(T) { return count(load<T>(start, 0), load<T>(limit, 0), load<T>(delta, 0)); });
}

Types infer(const Range&, const InferContext& in) {
  in.expect_inputs(3, 3);
  in.expect_number(0);
  in.expect_same_dtype(0, 1), in.expect_same_dtype(0, 2);
  in.expect_scalar(0, "the start"), in.expect_scalar(1, "the limit"), in.expect_scalar(2, "the step");
  const ConstantPtr start = in.constant(0), limit = in.constant(1), delta = in.constant(2);
  if (start && limit && delta) return {Type::tensor(in.in(0).dtype, {Dim(count(start->view(), limit->view(), delta->view()))})};
  const auto from = in.ints(0), to = in.ints(1);
  const auto step = in.known_ints(2);
  const bool counts = from && to && step && (*step)[0] == 1 && ((*to)[0] - (*from)[0]).lower() >= 0;
  return {Type::tensor(in.in(0).dtype, {counts ? (*to)[0] - (*from)[0] : Dim::unknown()})};
}

void reference(const Range&, RunContext& c) {
  const ConstView &start = c.in(0), &delta = c.in(2);
  const int64_t n = count(start, c.in(1), delta);
  const View y = c.set_out(0, start.dtype, {&n, 1});
  with_carrier(start.dtype, [&]<class T>(T) {
    for (int64_t i = 0; i < n; ++i) store(y, i, load<T>(start, 0) + T(i) * load<T>(delta, 0));
  });
}
}  // namespace

const OpDef<Range>& def(const Range&) {
  static constexpr OpDef<Range> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
