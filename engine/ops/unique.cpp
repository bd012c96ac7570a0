#include <numeric>
#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Unique;

Types infer(const Unique& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  Type y = in.in(0);
  Dim all = Dim::unknown();  // of what is compared
  if (op.flat) {
    if (y.ranked) all = 1;
    for (const Dim& d : y.dims) all = all * d;
    y = Type::tensor(y.dtype, {Dim::unknown()});
  } else if (y.ranked) {
    all = std::exchange(y.dims[size_t(normal_axis(op.axis, y.rank()))], Dim::unknown());
  }
  const Type found = Type::tensor(DType::i64, {Dim::unknown()});
  Types types{y, found, Type::tensor(DType::i64, {all}), found};
  types.resize(in.outputs());
  return types;
}

// Below 0 if a comes before b, above 0 if b before a. NaN is behind all else.
template <class T> int order_of(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, double>)
    if (a != a || b != b) return int(a != a) - int(b != b);
  return a < b ? -1 : int(b < a);
}

// Calls f with a function that gives element i.
template <class F> void with_elements(const ConstView& x, F&& f) {
  if (x.dtype == DType::string)
    return f([all = x.as<std::string>()](int64_t i) -> const std::string& { return all[size_t(i)]; });
  with_carrier(x.dtype, [&]<class T>(T) { with_reader<T>(x, f); });
}

struct Found {
  Scratch<int64_t> first;  // place of each distinct one, in order
  Scratch<int64_t> which;  // of each one, which of the distinct ones it is
};

// Compares the slices (o, d, i) of x for each d.
Found find(const Unique& op, const ConstView& x, const AxisSplit& at) {
  Found found{{}, Scratch<int64_t>(size_t(at.extent))};
  Scratch<int64_t> order(size_t(at.extent));
  std::iota(order.begin(), order.end(), int64_t{0});
  with_elements(x, [&](auto element) {
    const auto compare = [&](int64_t a, int64_t b) {
      for (int64_t o = 0; o < at.outer; ++o)
        for (int64_t i = 0, first = o * at.extent; i < at.inner; ++i)
          if (const int c = order_of(element((first + a) * at.inner + i), element((first + b) * at.inner + i)))
            return c;
      return 0;
    };
    const auto has_nan = [&](int64_t a) {
      if constexpr (std::is_same_v<decltype(element(0)), double>)
        for (int64_t o = 0; o < at.outer; ++o)
          for (int64_t i = 0; i < at.inner; ++i)
            if (std::isnan(element((o * at.extent + a) * at.inner + i))) return true;
      return false;
    };
    std::ranges::sort(order, [&](int64_t a, int64_t b) {
      const int c = compare(a, b);
      return c < 0 || (c == 0 && a < b);
    });
    for (size_t k = 0; k < order.size(); ++k) {
      const int64_t here = order[k];
      const bool same = k > 0 && compare(order[k - 1], here) == 0 && (op.flat || !has_nan(here));
      if (!same) found.first.push_back(here);
      found.which[size_t(here)] = int64_t(found.first.size()) - 1;
    }
  });
  return found;
}

// The distinct ones in the order of their first places.
void unsort(Found& found) {
  Scratch<int64_t> order(found.first.size()), place(found.first.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::sort(order, {}, [&](int64_t k) { return found.first[size_t(k)]; });
  for (size_t k = 0; k < order.size(); ++k) place[size_t(order[k])] = int64_t(k);
  for (int64_t& k : found.which) k = place[size_t(k)];
  std::ranges::sort(found.first);
}

void reference(const Unique& op, RunContext& c) {
  const ConstView& x = c.in(0);
  Extents shape(x.shape);
  if (op.flat) shape = {x.elements()};
  const int64_t axis = op.flat ? 0 : normal_axis(op.axis, x.rank());
  const AxisSplit at(shape, axis);
  Found found = find(op, x, at);
  if (!op.sorted) unsort(found);
  const int64_t count = shape[size_t(axis)] = int64_t(found.first.size());
  const View y = c.set_out(0, x.dtype, shape);
  for (int64_t o = 0; o < at.outer; ++o)
    for (int64_t k = 0; k < count; ++k)
      copy_elements(y, (o * count + k) * at.inner, x, (o * at.extent + found.first[size_t(k)]) * at.inner, at.inner);
  if (c.wants(1)) std::ranges::copy(found.first, c.set_out(1, DType::i64, {&count, 1}).as<int64_t>().begin());
  if (c.wants(2)) std::ranges::copy(found.which, c.set_out(2, DType::i64, {&at.extent, 1}).as<int64_t>().begin());
  if (!c.wants(3)) return;
  const auto counts = c.set_out(3, DType::i64, {&count, 1}).as<int64_t>();
  std::ranges::fill(counts, 0);
  for (int64_t k : found.which) ++counts[size_t(k)];
}

double flops(const Unique&, std::span<const Type> in, std::span<const Type>) {
  if (!in[0].determined()) return 0;
  const double n = double(elements(in[0].shape()));
  return 2 * n * std::log2(n + 2);
}
}  // namespace

const OpDef<Unique>& def(const Unique&) {
  static constexpr OpDef<Unique> def{.infer = infer, .reference = reference, .flops = flops};
  return def;
}
}  // namespace engine
