// Random, Bernoulli and Multinomial: the same numbers for any thread count and instruction set.
#include "engine/ops/random.h"
#include <atomic>
#include <numbers>
#include <random>
#include "engine/ops/shape_input.h"
#include "engine/ops/strides.h"

namespace engine {
RandomStream::RandomStream(bool seeded, int64_t seed) : key_(uint64_t(seed)), run_(0) {
  if (seeded) return;
  static const uint64_t process = [] {
    std::random_device device;
    return uint64_t{device()} << 32 | device();
  }();
  static std::atomic<uint64_t> runs = 0;
  key_ = process, run_ = ++runs;
}

namespace {
using schema::Bernoulli, schema::Multinomial, schema::Random, schema::RandomKind;

// Significant bits: of a multiple of 2^-digits below 1, that dtype holds without rounding.
int digits_of(DType dtype) {
  switch (dtype) {
    case DType::f16: return 11;
    case DType::bf16: return 8;
    case DType::f32: return 24;
    default: return 53;
  }
}

Types infer(const Random& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  const bool known =
      op.dtype == DType::f32 || op.dtype == DType::f64 || op.dtype == DType::f16 || op.dtype == DType::bf16;
  check(known, "draws no numbers of dtype ", name(op.dtype));
  check(std::isfinite(op.a) && std::isfinite(op.b), "draws from ", op.a, " and ", op.b, ", which are not both finite");
  return {type_of_shape(in, 0, op.dtype)};
}

void reference(const Random& op, RunContext& c) {
  const View y = c.set_out(0, op.dtype, given_shape(c.in(0)));
  const int64_t n = y.elements();
  const RandomStream stream(op.seeded, op.seed);
  if (op.kind == RandomKind::uniform) {
    const int digits = digits_of(op.dtype);
    return stream.each(n, [&](int64_t i, uint64_t bits) { store(y, i, op.a + (op.b - op.a) * unit(bits, digits)); });
  }
  // Two at a time: G. E. P. Box and M. E. Muller, "A Note on the Generation of Random Normal Deviates", 1958.
  stream.pairs(n, [&](int64_t i, uint64_t bits, uint64_t more) {
    const double radius = std::sqrt(-2 * std::log(1 - unit(bits))), angle = 2 * std::numbers::pi * unit(more);
    store(y, i, op.a + op.b * radius * std::cos(angle));
    if (i + 1 < n) store(y, i + 1, op.a + op.b * radius * std::sin(angle));
  });
}

Types infer(const Bernoulli& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_class(0, schema::DTypeClass::real);
  check(op.dtype != DType::string, "draws no strings");
  Type y = in.in(0);
  y.dtype = op.dtype;
  return {y};
}

void reference(const Bernoulli& op, RunContext& c) {
  const View y = c.out(0);
  with_reader<double>(c.in(0), [&](auto read) {
    RandomStream(op.seeded, op.seed).each(y.elements(), [&](int64_t i, uint64_t bits) {
      const double p = read(i);
      check(p >= 0 && p <= 1, "element ", i, " is ", p, ", and a probability is from 0 to 1");
      store(y, i, Int(unit(bits) < p));
    });
  });
}

Types infer(const Multinomial& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_class(0, schema::DTypeClass::real);
  const Type& x = in.in(0);
  check(op.dtype == DType::i32 || op.dtype == DType::i64, "numbers classes in i32 or i64, not ", name(op.dtype));
  check(op.samples >= 0, "draws ", op.samples, " samples");
  check(!x.ranked || x.rank() == 2, "expects [batch,classes], not ", x);
  return {Type::tensor(op.dtype, {x.ranked ? x.dims[0] : Dim::unknown(), op.samples})};
}

// The weights of row b of x, each with those before it: relative to the largest, so that it is 1.
void accumulate(const ConstView& x, int64_t b, std::span<double> sums) {
  const int64_t classes = int64_t(sums.size());
  double largest = -INFINITY, sum = 0;
  for (int64_t k = 0; k < classes; ++k) {
    sums[k] = load<double>(x, b * classes + k);
    check(sums[k] < INFINITY, "the logarithm of the weight of class ", k, " is ", sums[k]);
    largest = std::max(largest, sums[k]);
  }
  check(largest > -INFINITY, "row ", b, " has no class of a weight above zero");
  for (double& s : sums) s = sum += std::exp(s - largest);
}

void reference(const Multinomial& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  const auto sums = c.workspace<double>(size_t(x.shape[1]));
  const RandomStream stream(op.seeded, op.seed);
  stream.each(y.elements(), [&](int64_t i, uint64_t bits) {
    if (i % op.samples == 0) accumulate(x, i / op.samples, sums);
    const auto at = std::upper_bound(sums.begin(), sums.end(), unit(bits) * sums.back());
    store(y, i, Int(at - sums.begin()));
  });
}

double flops(const Random&, std::span<const Type>, std::span<const Type> out) {
  return out[0].determined() ? 50 * double(elements(out[0].shape())) : 0;
}
double flops(const Multinomial&, std::span<const Type> in, std::span<const Type> out) {
  if (!in[0].determined() || !out[0].determined()) return 0;
  return 20 * double(elements(in[0].shape())) + 50 * double(elements(out[0].shape()));
}
}  // namespace

const OpDef<Random>& def(const Random&) {
  static constexpr OpDef<Random> def{.infer = infer, .reference = reference, .random = true, .flops = flops};
  return def;
}
const OpDef<Bernoulli>& def(const Bernoulli&) {
  static constexpr OpDef<Bernoulli> def{.infer = infer, .reference = reference, .random = true};
  return def;
}
const OpDef<Multinomial>& def(const Multinomial&) {
  static constexpr OpDef<Multinomial> def{.infer = infer, .reference = reference, .random = true, .flops = flops};
  return def;
}
}  // namespace engine
