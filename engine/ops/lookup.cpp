#include <cmath>
#include <unordered_map>
#include "engine/op.h"

namespace engine {
namespace {
using schema::Lookup;

Types infer(const Lookup&, const InferContext& in) {
  in.expect_inputs(3, 4);
  for (size_t k = 0; k < in.inputs(); ++k)
    if (in.has(k)) in.expect_tensor(k);
  in.expect_same_dtype(0, 1);
  Dim n = in.expect_rank(1, 1)[0];
  meet(n, in.expect_rank(2, 1)[0], "the number of keys and values");
  if (in.has(3)) in.expect_same_dtype(2, 3);
  Type y = in.in(0);
  y.dtype = in.in(2).dtype;
  return {y};
}

// Numbers as bits that are equal where they are: -0 is 0, and there is one NaN.
template <class Carrier> uint64_t bits_of_key(const ConstView& x, int64_t i) {
  const Carrier v = load<Carrier>(x, i);
  if constexpr (std::is_same_v<Carrier, double>) return std::isnan(v) ? ~uint64_t{} : std::bit_cast<uint64_t>(v == 0 ? 0.0 : v);
  else return uint64_t(v);
}

class LookupTable {
 public:
  explicit LookupTable(const ConstView& keys) {
    if (keys.dtype == DType::string) {
      for (int64_t i = 0; i < keys.elements(); ++i) words_.try_emplace(keys.as<std::string>()[size_t(i)], i);
      return;
    }
    with_carrier(keys.dtype, [&]<class Carrier>(Carrier) {
      for (int64_t i = 0; i < keys.elements(); ++i) numbers_.try_emplace(bits_of_key<Carrier>(keys, i), i);
    });
  }
  // The place of x[i] among the keys; -1: nowhere.
  int64_t find(const ConstView& x, int64_t i) const {
    if (x.dtype == DType::string) return find_in(words_, x.as<std::string>()[size_t(i)]);
    return with_carrier(x.dtype, [&]<class Carrier>(Carrier) { return find_in(numbers_, bits_of_key<Carrier>(x, i)); });
  }

 private:
  template <class Map, class Key> static int64_t find_in(const Map& map, const Key& key) {
    const auto at = map.find(key);
    return at == map.end() ? -1 : at->second;
  }
  std::unordered_map<std::string, int64_t> words_;
  std::unordered_map<uint64_t, int64_t> numbers_;
};

std::string text_of(const ConstView& x, int64_t i) {
  if (x.dtype == DType::string) return cat('\'', x.as<std::string>()[size_t(i)], '\'');
  return schema::is_integer(x.dtype) ? cat(load<Int>(x, i).v) : cat(load<double>(x, i));
}

void look_up(const LookupTable& table, RunContext& c) {
  const ConstView &x = c.in(0), &values = c.in(2);
  check(c.in(1).elements() == values.elements(), "there are ", c.in(1).elements(), " keys and ", values.elements(), " values");
  check(!c.has(3) || c.in(3).elements() == 1, "the default has ", c.has(3) ? c.in(3).elements() : 1, " elements");
  const View y = c.set_out(0, values.dtype, x.shape);
  for (int64_t i = 0; i < x.elements(); ++i) {
    const int64_t at = table.find(x, i);
    check(at >= 0 || c.has(3), text_of(x, i), " is none of the ", values.elements(), " keys, and there is no default");
    copy_elements(y, i, at < 0 ? c.in(3) : values, std::max<int64_t>(at, 0), 1);
  }
}
void reference(const Lookup&, RunContext& c) { look_up(LookupTable(c.in(1)), c); }

// The table of constant keys is made once.
std::optional<Lowered> lower(const Lookup&, const LowerContext& c) {
  const Constant* keys = c.constant(1);
  if (!keys) return std::nullopt;
  return Lowered{"lookup", [table = std::make_shared<const LookupTable>(keys->view())](RunContext& r) { look_up(*table, r); }};
}

double flops(const Lookup&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() && in[1].determined() ? 10 * double(elements(in[0].shape()) + elements(in[1].shape())) : 0;
}
}  // namespace

const OpDef<Lookup>& def(const Lookup&) {
  static constexpr OpDef<Lookup> def{.infer = infer, .reference = reference, .lower = lower, .flops = flops};
  return def;
}
}  // namespace engine
