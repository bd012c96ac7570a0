#include <algorithm>
#include <bitset>
#include "engine/device_lowering.h"
#include "engine/ops/real_to_int.h"
#include "engine/ops/strides.h"
#include "kernels/half/half.h"
#include "kernels/reduce/reduce.h"

namespace engine {
namespace {
using schema::Reduce, schema::ReduceKind;

// Which dims go away. No axes (and no input for them) means all, or none.
std::bitset<limits::rank> reduced_dims(const Reduce& op, std::span<const int64_t> axes, int64_t rank) {
  std::bitset<limits::rank> reduced;
  if (axes.empty()) return op.noop_with_empty_axes ? reduced : ~reduced;
  for (int64_t axis : axes) {
    const auto d = size_t(normal_axis(axis, rank));
    check(!reduced[d], "axis ", axis, " is given twice");
    reduced[d] = true;
  }
  return reduced;
}

Type result(const Reduce& op, const Type& x, std::span<const int64_t> axes) {
  const auto reduced = reduced_dims(op, axes, x.rank());
  Type y = Type::tensor(x.dtype, Dims{});
  for (size_t d = 0; d < x.dims.size(); ++d) {
    if (!reduced[d]) y.dims.push_back(x.dims[d]);
    else if (op.keepdims) y.dims.push_back(1);
  }
  return y;
}

Types infer(const Reduce& op, const InferContext& in) {
  in.expect_inputs(1, 2);
  in.expect_tensor(0);
  const Type& x = in.in(0);
  const bool extremum = op.kind == ReduceKind::min || op.kind == ReduceKind::max;
  if (!extremum || x.dtype != DType::boolean) in.expect_number(0);
  if (in.has(1)) in.expect_dtype(1, {DType::i64});
  const bool all = !in.has(1) && !op.noop_with_empty_axes;
  const auto axes = in.has(1) ? in.known_ints(1) : std::vector<int64_t>{};
  if (all && !op.keepdims) return {Type::scalar(x.dtype)};
  if (!x.ranked) return {Type::unranked(x.dtype)};
  if (axes) return {result(op, x, *axes)};
  if (op.keepdims) return {Type::tensor(x.dtype, Dims(x.dims.size(), Dim::unknown()))};
  const Type& given = in.in(1);
  const int64_t count = given.ranked && given.rank() == 1 && given.dims[0].known() ? given.dims[0].value() : 0;
  check(count <= x.rank(), count, " axes are too many for ", x);
  return {count ? Type::tensor(x.dtype, Dims(size_t(x.rank() - count), Dim::unknown())) : Type::unranked(x.dtype)};
}

// The smallest (or largest) number of a dtype: the maximum (or minimum) of nothing.
template <class T> T bound(DType dtype, bool smallest) {
  if constexpr (std::is_same_v<T, double>) return smallest ? -INFINITY : INFINITY;
  if (dtype == DType::boolean) return T(smallest ? 0 : 1);
  const int bits = bits_of(dtype);
  const bool is_signed = dtype == DType::i8 || dtype == DType::i16 || dtype == DType::i32 || dtype == DType::i64 || dtype == DType::i4 || dtype == DType::i2;
  const uint64_t ones = ~uint64_t{0} >> (64 - bits);
  if (!is_signed) return T(smallest ? 0 : ones);
  return smallest ? T(~(ones >> 1)) : T(ones >> 1);
}

// Reduces the elements of x that `nest` reaches from `first` on.
template <class T, class R> T reduce(ReduceKind kind, DType dtype, R read, const Nest<1>& nest, int64_t first) {
  const auto fold = [&](T start, auto step) {
    const int64_t n = nest.extents.back(), stride = nest.strides[0].back();
    nest.rows({first}, [&](const auto& at) {
      for (int64_t i = 0; i < n; ++i) start = step(start, read(at[0] + i * stride));
    });
    return start;
  };
  // Functions of a real number: those of integers are rounded toward zero.
  const auto real = [](double x) {
    if constexpr (std::is_same_v<T, double>) return x;
    else return real_to_int<T>(x);
  };
  const auto to_double = [](T x) { return static_cast<double>(x); };
  const auto is_nan = [](T x) { return x != x; };
  switch (kind) {
    case ReduceKind::sum: return fold(T(0), [](T a, T x) { return a + x; });
    case ReduceKind::mean: {
      const int64_t count = product(nest.extents);
      check(count > 0 || std::is_same_v<T, double>, "the mean of no integers is not defined");
      return fold(T(0), [](T a, T x) { return a + x; }) / T(count);
    }
    case ReduceKind::prod: return fold(T(1), [](T a, T x) { return a * x; });
    case ReduceKind::min: return fold(bound<T>(dtype, false), [&](T a, T x) { return is_nan(a) || a < x ? a : x; });
    case ReduceKind::max: return fold(bound<T>(dtype, true), [&](T a, T x) { return is_nan(a) || x < a ? a : x; });
    case ReduceKind::l1: return fold(T(0), [](T a, T x) { return x < T(0) ? a - x : a + x; });
    case ReduceKind::sum_square: return fold(T(0), [](T a, T x) { return a + x * x; });
    default: break;
  }
  double sum = 0;
  const auto add = [&](auto f) { fold(T(0), [&](T a, T x) { return sum += f(to_double(x)), a; }); };
  if (kind == ReduceKind::l2) return add([](double x) { return x * x; }), real(std::sqrt(sum));
  if (kind == ReduceKind::log_sum) return add([](double x) { return x; }), real(std::log(sum));
  double largest = -INFINITY;
  fold(T(0), [&](T a, T x) { return largest = std::fmax(largest, to_double(x)), a; });
  const double shift = std::isfinite(largest) ? largest : 0;
  return add([&](double x) { return std::exp(x - shift); }), real(std::log(sum) + shift);
}

void reference(const Reduce& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const Extents axes = c.has(1) ? small_ints(c.in(1)) : Extents();
  const auto reduced = reduced_dims(op, axes, x.rank());
  const View y = c.sized(0) ? c.out(0) : c.set_out(0, x.dtype, result(op, Type::tensor(x.dtype, Shape(x.shape.begin(), x.shape.end())), axes).shape());
  const Extents strides = dense_strides(x.shape);
  Nest<1> kept, gone;
  for (size_t d = 0; d < x.shape.size(); ++d) {
    Nest<1>& nest = reduced[d] ? gone : kept;
    nest.extents.push_back(x.shape[d]), nest.strides[0].push_back(strides[d]);
  }
  kept = kept.merged(), gone = gone.merged();
  with_carrier(x.dtype, [&]<class T>(T) {
    with_reader<T>(x, [&](auto read) {
      int64_t i = 0;
      kept.each({}, [&](const auto& at) { store(y, i++, reduce<T>(op.kind, x.dtype, read, gone, at[0])); });
    });
  });
}

// x as [outer, n, inner], where only the middle dim goes away; none: the dims that do are not next to each other.
std::optional<kernels::reduce::Spec> view_of(const Reduce& op, const Shape& x, const std::bitset<limits::rank>& reduced) {
  kernels::reduce::Spec spec{op.kind, 1, 1, 1};
  int64_t* extent = &spec.outer;
  for (size_t d = 0; d < x.size(); ++d) {
    if (x[d] == 1) continue;
    if (reduced[d]) {
      if (extent == &spec.inner) return std::nullopt;
      extent = &spec.n;
    } else if (extent == &spec.n) {
      extent = &spec.inner;
    }
    *extent *= x[d];
  }
  if (extent == &spec.outer) std::swap(spec.outer, spec.inner);  // nothing goes: one row
  return spec;
}

std::optional<Lowered> lower(const Reduce& op, const LowerContext& c) {
  const Type& x = c.in(0);
  if ((x.dtype != DType::f32 && (!c.target || schema::is_real(x.dtype))) || (c.has(1) && !c.constant(1))) return std::nullopt;
  const Extents axes = c.has(1) ? small_ints(c.constant(1)->view()) : Extents();
  const auto spec = view_of(op, x.shape(), reduced_dims(op, axes, x.rank()));
  if (!spec) return std::nullopt;
  if (c.target) return lower_map_on_device(c, &kernels::cuda::Backend::reduce, kernels::cuda::ReduceProblem{*spec, c.kept_in(0), c.kept_out()});
  auto choice = kernels::reduce::select(*spec, c.isa);
  if (!choice) return std::nullopt;
  const auto scratch = int64_t(choice.kernel.scratch_bytes());
  if (c.kept_out() != DType::f32) return std::nullopt;
  if (c.kept_in(0) != DType::f32) {  // what goes away is read once: as floats in front of the kernel's scratch
    static constexpr kernels::half::Spec back{.back = true};
    auto widen = kernels::half::select(back, c.isa);
    if (!widen || c.kept_in(0) != DType::f16) return std::nullopt;
    const int64_t n = elements(x.shape()), wide = (n * int64_t(sizeof(float)) + 63) / 64 * 64;
    return Lowered{choice.name, [kernel = std::move(choice.kernel), widen = std::move(widen.kernel), n, wide](RunContext& r) {
      auto* from = reinterpret_cast<float*>(r.scratch());
      widen.run(r.in(0).data, from, n, back, r.pool(), r.threads());
      kernel.run(from, reinterpret_cast<float*>(r.out(0).data), r.scratch() + wide, r.pool(), r.threads());
    }, wide + scratch};
  }
  return Lowered{choice.name, [kernel = std::move(choice.kernel)](RunContext& r) {
    kernel.run(reinterpret_cast<const float*>(r.in(0).data), reinterpret_cast<float*>(r.out(0).data), r.scratch(), r.pool(), r.threads());
  }, scratch};
}

double flops(const Reduce&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() ? double(elements(in[0].shape())) : 0;
}
}  // namespace

const OpDef<Reduce>& def(const Reduce&) {
  static constexpr OpDef<Reduce> def{.infer = infer,
                                     .reference = reference,
                                     .lower = lower,
                                     .on_device = true,
                                     .keeps_half = true,
                                     .cpu_keeps_half = true,
                                     .sized_by = 1u << 1,
                                     .flops = flops};
  return def;
}
}  // namespace engine
