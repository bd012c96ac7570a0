// Random numbers, and Dropout, which draws some when it trains.
#include "converter/onnx_node.h"
#include "converter/onnx_tensor.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::RandomKind;

struct Seed {
  bool given = false;
  int64_t value = 0;
};
// A float: two seeds that differ are two keys, whatever lies between them.
Seed float_seed(OnnxNode& n) {
  if (!n.has_attribute("seed")) return {};
  return {true, std::bit_cast<int32_t>(float(n.real("seed")))};
}
DType dtype_attribute(OnnxNode& n, DType fallback) {
  return n.has_attribute("dtype") ? dtype_of(int32_t(n.integer("dtype"))) : fallback;
}

template <RandomKind kind> void random(OnnxNode& n, ValueId shape, DType dtype) {
  const bool normal = kind == RandomKind::normal;
  const double a = n.real(normal ? "mean" : "low", 0), b = n.real(normal ? "scale" : "high", 1);
  const Seed seed = float_seed(n);
  n.finish(schema::Random{kind, dtype_attribute(n, dtype), a, b, seed.given, seed.value}, {shape});
}
template <RandomKind kind> void random_of_shape(OnnxNode& n) {
  n.expect_inputs(0, 0);
  check(n.has_attribute("shape"), "attribute shape is missing");
  random<kind>(n, n.ints(n.integers("shape")), DType::f32);
}
template <RandomKind kind> void random_like(OnnxNode& n) {
  n.expect_inputs(1, 1);
  random<kind>(n, n.add(schema::Shape{}, {n.in(0)}), n.dtype(0));
}

void bernoulli(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const Seed seed = float_seed(n);
  n.finish(schema::Bernoulli{dtype_attribute(n, n.dtype(0)), seed.given, seed.value}, n.all());
}
void multinomial(OnnxNode& n) {
  const Seed seed = float_seed(n);
  const int64_t samples = n.integer("sample_size", 1);
  n.finish(schema::Multinomial{samples, dtype_attribute(n, DType::i32), seed.given, seed.value}, n.all());
}

// Drops elements with the probability `ratio` where input 2 holds (null: it does), and scales the rest so that the mean
// stays.
void train_dropout(OnnxNode& n, bool always, const Seed& seed) {
  const DType dtype = n.dtype(0), real = dtype == DType::f64 ? DType::f64 : DType::f32;
  const ValueId zero = n.scalar(real, 0), shape = n.add(schema::Shape{}, {n.in(0)});
  ValueId ratio = n.has(1) ? n.cast(n.in(1), real) : n.scalar(real, 0.5);
  if (!always) ratio = n.add(schema::Where{}, {n.in(2), ratio, zero});
  const ValueId kept = n.reshape(n.binary(BinaryKind::sub, n.scalar(real, 1), ratio), {});
  const schema::Bernoulli draw{DType::boolean, seed.given, seed.value};
  const ValueId mask = n.add(draw, {n.add(schema::Expand{}, {kept, shape})});
  const ValueId factor = n.add(schema::Where{}, {mask, n.binary(BinaryKind::div, n.scalar(real, 1), kept), zero});
  n.set(0, n.cast(n.binary(BinaryKind::mul, n.cast(n.in(0), real), factor), dtype));
  n.set(1, mask);
}

void dropout(OnnxNode& n) {
  n.expect_inputs(1, 3);
  n.ignore({"is_test", "consumed_inputs"});
  if (n.opset() < 12) n.ignore({"ratio"});
  const Seed seed{n.has_attribute("seed"), n.integer("seed", 0)};
  const std::optional<double> never = 0.0, half = 0.5;
  const auto training = n.has(2) ? n.known_scalar(n.in(2)) : never, ratio = n.has(1) ? n.known_scalar(n.in(1)) : half;
  if (training != 0.0) {
    check(!ratio || (*ratio >= 0 && *ratio < 1), "the ratio is ", ratio.value_or(0), ", and must be from 0 to below 1");
    if (ratio != 0.0) return train_dropout(n, training.has_value(), seed);
  }
  n.set(0, n.in(0));
  if (!n.wants(1)) return;
  const DType dtype = n.opset() < 10 ? n.dtype(0) : DType::boolean;
  n.set(1, n.add(schema::ConstantOfShape{}, {n.add(schema::Shape{}, {n.in(0)}), n.scalar(dtype, 1)}));
}

constexpr Row random_rows[] = {{"RandomNormal", random_of_shape<RandomKind::normal>},
                               {"RandomUniform", random_of_shape<RandomKind::uniform>},
                               {"RandomNormalLike", random_like<RandomKind::normal>},
                               {"RandomUniformLike", random_like<RandomKind::uniform>},
                               {"Bernoulli", bernoulli},
                               {"Multinomial", multinomial},
                               {"Dropout", dropout}};
}  // namespace

Group random_group() { return {onnx_domain, random_rows}; }
}  // namespace converter
