#include <algorithm>
#include <functional>
#include "engine/op.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/real_to_int.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Binary, schema::BinaryKind;

// What the columns of binary.def mean.
template <class T> constexpr bool real = std::is_floating_point_v<T>;
template <class T> constexpr bool integer = !real<T>;
template <class T> constexpr bool boolean = !real<T>;
template <class T> constexpr bool number = true;
template <class T> constexpr bool any = true;
constexpr bool same = false, truth = true;

struct Row {
  std::string_view types;
  bool truth;
};
const Row& row(BinaryKind kind) {
#define BINARY(name, types, result, ...) {#types, result},
  static constexpr Row rows[] = {
#include "schema/binary.def"
  };
  return rows[size_t(kind)];
}

template <class T> requires real<T> T power(T x, T y) { return std::pow(x, y); }
// Wraps; a negative exponent gives 1 / x^-y, rounded toward zero.
template <class Base> Wrapping<Base> power(Wrapping<Base> x, Wrapping<Base> y) {
  using T = Wrapping<Base>;
  if (y < T(0)) {
    check(x != T(0), "zero to a negative power");
    return x == T(1) || (x == T(-1) && (y & T(1)) == T(0)) ? T(1) : x == T(-1) ? x : T(0);
  }
  T result(1);
  for (uint64_t n = uint64_t(y.v); n; n >>= 1, x = x * x)
    if (n & 1) result = result * x;
  return result;
}

// The remainder has the sign of y, or of x.
template <class T> T trunc_mod(T x, T y) {
  if constexpr (real<T>) return std::fmod(x, y);
  else return x % y;
}
template <class T> T floor_mod(T x, T y) {
  const T r = trunc_mod(x, y);
  if constexpr (real<T>) {
    if (r == T(0)) return std::copysign(r, y);
  }
  return r != T(0) && (r < T(0)) != (y < T(0)) ? r + y : r;
}

// Calls f with the formula of a kind on T. Infer has checked that there is one.
template <class T, class F> void with_formula(BinaryKind kind, F&& f) {
  switch (kind) {
#define BINARY(name, types, result, formula, ...)                             \
  case BinaryKind::name:                                                      \
    if constexpr (types<T>) f([](T x, T y) { return formula; });              \
    break;
#include "schema/binary.def"
  }
}

Types infer(const Binary& op, const InferContext& in) {
  in.expect_inputs(2, 2);
  if (op.kind == BinaryKind::pow) in.expect_number(0), in.expect_number(1);
  else in.expect_same_dtype(0, 1);
  const DType dtype = in.in(0).dtype;
  const auto cls = class_of(dtype);
  const std::string_view types = row(op.kind).types;
  check(types == schema::name(cls) || types == "any" || (types == "number" && (schema::is_real(dtype) || schema::is_integer(dtype))),
        schema::name(op.kind), " is defined on ", types, " types only");
  const Type inputs[] = {in.in(0), in.in(1)};
  return just(broadcast(row(op.kind).truth ? DType::boolean : dtype, inputs));
}

// Calls f(offset of x, of y, of z) for each row of z, along which x and y move by the given steps.
template <class F> void walk(const ConstView& x, const ConstView& y, const View& z, F&& f) {
  const size_t rank = z.shape.size();
  const Extents extents(z.shape);
  const auto nest = Nest<3>{extents, {broadcast_strides(x.shape, rank), broadcast_strides(y.shape, rank), dense_strides(extents)}}.merged();
  nest.rows({}, [&](const auto& at) { f(at, nest.extents.back(), nest.strides[0].back(), nest.strides[1].back()); });
}

// On elements E as they lie in memory.
template <class E, class T, class F> void apply(const F& formula, const ConstView& x, const ConstView& y, const View& z) {
  const auto *a = reinterpret_cast<const E*>(x.data), *b = reinterpret_cast<const E*>(y.data);
  T* out = reinterpret_cast<T*>(z.data);
  walk(x, y, z, [&](const auto& at, int64_t n, int64_t dx, int64_t dy) {
    const E *p = a + at[0], *q = b + at[1];
    T* r = out + at[2];
    if (dx == 1 && dy == 1) for (int64_t i = 0; i < n; ++i) r[i] = static_cast<T>(formula(p[i], q[i]));
    else if (dx == 1) for (int64_t i = 0; i < n; ++i) r[i] = static_cast<T>(formula(p[i], *q));
    else if (dy == 1 && dx == 0) for (int64_t i = 0; i < n; ++i) r[i] = static_cast<T>(formula(*p, q[i]));
    else for (int64_t i = 0; i < n; ++i) r[i] = static_cast<T>(formula(p[i * dx], q[i * dy]));
  });
}
template <class T> void run_f32(BinaryKind kind, const ConstView& x, const ConstView& y, const View& z) {
  with_formula<float>(kind, [&](auto formula) { apply<float, T>(formula, x, y, z); });
}
// False: it is no comparison.
template <class E> bool compare(BinaryKind kind, const ConstView& x, const ConstView& y, const View& z) {
  const auto run = [&](auto formula) { return apply<E, uint8_t>(formula, x, y, z), true; };
  switch (kind) {
    case BinaryKind::equal: return run(std::equal_to<E>());
    case BinaryKind::less: return run(std::less<E>());
    case BinaryKind::less_equal: return run(std::less_equal<E>());
    case BinaryKind::greater: return run(std::greater<E>());
    case BinaryKind::greater_equal: return run(std::greater_equal<E>());
    default: return false;
  }
}

void reference(const Binary& op, RunContext& c) {
  const ConstView &x = c.in(0), &y = c.in(1);
  const View z = c.out(0);
  if (x.dtype == DType::string) {
    const auto a = x.as<std::string>(), b = y.as<std::string>();
    return walk(x, y, z, [&](const auto& at, int64_t n, int64_t dx, int64_t dy) {
      for (int64_t i = 0; i < n; ++i) store(z, at[2] + i, Int(a[at[0] + i * dx] == b[at[1] + i * dy]));
    });
  }
  const bool divides = op.kind == BinaryKind::div || op.kind == BinaryKind::mod || op.kind == BinaryKind::fmod;
  if (divides && schema::is_integer(x.dtype) && z.elements() > 0)
    for (int64_t i = 0, n = y.elements(); i < n; ++i) check(load<Int>(y, i) != Int(0), "integer division by zero");
  if (x.dtype == DType::f32 && op.kind != BinaryKind::pow)
    return row(op.kind).truth ? run_f32<uint8_t>(op.kind, x, y, z) : run_f32<float>(op.kind, x, y, z);
  if (x.dtype == DType::i32 && compare<int32_t>(op.kind, x, y, z)) return;
  if (x.dtype == DType::i64 && compare<int64_t>(op.kind, x, y, z)) return;
  // An exponent of another dtype than x: in double if either is real.
  const DType carrier = x.dtype == y.dtype ? x.dtype : schema::is_real(y.dtype) ? y.dtype : schema::is_real(x.dtype) ? x.dtype : DType::i64;
  with_carrier(carrier, [&]<class T>(T) {
    with_formula<T>(op.kind, [&](auto formula) {
      walk(x, y, z, [&](const auto& at, int64_t n, int64_t dx, int64_t dy) {
        for (int64_t i = 0; i < n; ++i) {
          const auto value = formula(load<T>(x, at[0] + i * dx), load<T>(y, at[1] + i * dy));
          if constexpr (std::is_same_v<decltype(value), const bool>) store(z, at[2] + i, Int(value));
          else if constexpr (real<T>) {
            if (schema::is_integer(z.dtype)) store(z, at[2] + i, real_to_int(value));
            else store(z, at[2] + i, value);
          } else store(z, at[2] + i, value);
        }
      });
    });
  });
}

std::optional<Lowered> lower(const Binary& op, const LowerContext& c) { return lower_binary(op.kind, c); }
bool takes_pitch(const Binary&, const Graph& graph, const Node& node, int port) { return pointwise_takes_pitch(graph, node, port); }

// x * 1, x / 1, x + 0 and x - 0 are x; x to the power of 2 is x * x.
void simplify(const Binary& op, NodeId n, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const Node node = graph[n];
  if (op.kind == BinaryKind::pow) {
    const Constant* power = graph[node.inputs[1]].constant.get();
    if (!power || power->view().elements() != 1 || !schema::is_real(graph[node.inputs[0]].type.dtype) || load<double>(power->view(), 0) != 2) return;
    if (graph[node.inputs[0]].type.ranked && graph[node.inputs[0]].type == graph[node.outputs[0]].type)
      rewriter.replace(node.outputs[0], rewriter.add(Binary{BinaryKind::mul}, {node.inputs[0], node.inputs[0]}, node.origins)[0]);
    return;
  }
  const bool sum = op.kind == BinaryKind::add || op.kind == BinaryKind::sub;
  if (!sum && op.kind != BinaryKind::mul && op.kind != BinaryKind::div) return;
  const bool commutes = op.kind == BinaryKind::add || op.kind == BinaryKind::mul;
  for (int k = 1; k >= (commutes ? 0 : 1); --k) {
    const ValueId other = node.inputs[1 - k], y = node.outputs[0];
    const Constant* constant = graph[node.inputs[k]].constant.get();
    if (!constant || constant->view().elements() != 1 || load<double>(constant->view(), 0) != (sum ? 0 : 1)) continue;
    if (graph[other].type.ranked && graph[other].type == graph[y].type) return rewriter.replace(y, other);
  }
}
}  // namespace

const OpDef<Binary>& def(const Binary&) {
  static constexpr OpDef<Binary> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .cpu_keeps_half = true, .simplify = simplify, .inplace_input = input_at<Binary, 0>, .takes_pitch = takes_pitch};
  return def;
}
}  // namespace engine
