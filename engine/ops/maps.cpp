// Values that are maps, made and taken apart.
#include <numeric>
#include "engine/op.h"

namespace engine {
namespace {
using schema::MapParts, schema::ZipMap;

Types infer(const ZipMap&, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_dtype(1, {DType::i64, DType::string});
  const Dims values = in.expect_rank(0, 2), keys = in.expect_rank(1, 1);
  check(may_equal(values[1], keys[0]), "rows of ", in.in(0), " do not have a value for each of ", in.in(1));
  Type map;
  map.kind = ValueKind::map, map.dtype = in.in(0).dtype, map.key = in.in(1).dtype;
  return {Type::sequence(map)};
}
void zip(const ZipMap&, RunContext& c) {
  const ConstView &values = c.in(0), &keys = c.in(1);
  const int64_t rows = values.shape[0], n = values.shape[1];
  check(keys.elements() == n, "rows of ", n, " values do not fit ", keys.elements(), " keys");
  if (const auto& budget = Budget::current(); budget && keys.dtype == DType::string) budget->check_time();
  Object& y = c.object(0);
  y.set_empty(ValueKind::sequence, values.dtype);
  y.items.resize(size_t(rows));
  for (int64_t r = 0; r < rows; ++r) {
    Object& map = y.items[size_t(r)];
    map.set_empty(ValueKind::map, values.dtype);
    map.items.resize(2);
    map.items[0].assign(keys);
    copy_elements(map.items[1].set_tensor(values.dtype, {&n, 1}), 0, values, r * n, n);
  }
}

Types infer(const MapParts& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  const Type& map = in.in(0);
  check(map.kind == ValueKind::map && map.dtype == op.value, "input 0 must be a map to ", name(op.value), ", not ",
        map);
  check(op.key == DType::i64 || op.key == DType::string, "the keys of a map cannot be ", name(op.key));
  const Dim n = Dim::unknown();
  Types types{Type::tensor(op.key, {n}), Type::tensor(op.value, {n})};
  types.resize(in.outputs());
  return types;
}
void take_apart(const MapParts& op, RunContext& c) {
  const Object* const map = c.in(0).object;
  check(map && map->kind == ValueKind::map && map->items.size() == 2, "input 0 is no map");
  const ConstView keys = map->items[0].view(), values = map->items[1].view();
  check(keys.dtype == op.key && values.dtype == op.value && keys.elements() == values.elements(), "the map has ", keys.elements(), " keys of ",
        name(keys.dtype), " and ", values.elements(), " values of ", name(values.dtype), ", and must have as many ", name(op.key), " as ", name(op.value));
  Scratch<int64_t> order(size_t(keys.elements()));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    if (keys.dtype == DType::string) return keys.as<std::string>()[size_t(a)] < keys.as<std::string>()[size_t(b)];
    return load<Int>(keys, a) < load<Int>(keys, b);
  });
  const int64_t shape[] = {keys.elements()};
  for (size_t k = 0; k < c.outputs(); ++k) {
    if (!c.wants(k)) continue;
    const ConstView& from = k == 0 ? keys : values;
    const View y = c.set_out(k, from.dtype, shape);
    for (size_t i = 0; i < order.size(); ++i) copy_elements(y, int64_t(i), from, order[i], 1);
  }
}
}  // namespace

const OpDef<ZipMap>& def(const ZipMap&) {
  static constexpr OpDef<ZipMap> def{.infer = infer, .reference = zip};
  return def;
}
const OpDef<MapParts>& def(const MapParts&) {
  static constexpr OpDef<MapParts> def{.infer = infer, .reference = take_apart};
  return def;
}
}  // namespace engine
