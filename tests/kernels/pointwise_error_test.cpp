// Every row of the pointwise table against the C library in double precision, held to kernels/pointwise/errors.def. On a sample of
// the floats, or with INLAY_EVERY_FLOAT=1 on all of them: minutes for each function, and the largest errors are printed.
#include <bit>
#include "kernels/pointwise/pointwise.h"
#include "kernels/threads.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using pointwise::Stage;
using schema::UnaryKind;

struct Function {
  std::string name;
  Stage stage;
  bool of_argument;  // the error is in ulp of the argument
  double least, jit_avx512, jit_avx2, simd, scalar;

  bool is(std::initializer_list<UnaryKind> kinds) const { return std::ranges::find(kinds, stage.unary) != kinds.end(); }
  double bound(std::string_view row) const {
    return row.ends_with("jit_avx512") ? jit_avx512 : row.ends_with("jit_avx2") ? jit_avx2 : row.ends_with("scalar") ? scalar : simd + (arm32(row) ? 1.5 : 0);
  }
  // The vectors of 32-bit ARM multiply by reciprocals where others divide, and to them subnormal numbers are zero, whatever the mode.
  static bool arm32([[maybe_unused]] std::string_view row) {
#if defined(__arm__)
    return row.ends_with("_neon");
#else
    return false;
#endif
  }
};

Stage stage(UnaryKind kind) { return kind == UnaryKind::selu ? Stage::of(kind, 1.67326324f, 1.05070098f) : Stage::of(kind, 1); }

const std::vector<Function>& functions() {
  enum { y, x };
  static const std::vector<Function> all = {
#define ERROR(name, of, least, jit_avx512, jit_avx2, simd, scalar) \
  {#name, stage(UnaryKind::name), of == x, least, jit_avx512, jit_avx2, simd, scalar},
#include "kernels/pointwise/errors.def"
  };
  return all;
}

// The C library takes ten times as long where it overflows or underflows; beyond these limits no function is any other float.
double exp(double x) { return std::exp(x > 300 ? 300 : x < -300 ? -300 : x); }
double softplus(double x) { return x > 0 ? x + std::log1p(exp(-x)) : std::log1p(exp(x)); }

// Without the cancellation that the formulas of schema/unary.def have in float.
double exact(const Stage& s, double x) {
  constexpr double sqrt_half = 0.70710678118654752440, sqrt_two_over_pi = 0.79788456080286535588;
  switch (s.unary) {
    case UnaryKind::exp: return exp(x);
    case UnaryKind::log: return std::log(x);
    case UnaryKind::tanh: return std::tanh(x);
    case UnaryKind::sigmoid: return 1 / (1 + exp(-x));
    case UnaryKind::erf: return std::erf(x);
    case UnaryKind::silu: return x / (1 + exp(-x));
    case UnaryKind::gelu: return 0.5 * x * std::erfc(-x * sqrt_half);
    case UnaryKind::gelu_tanh: return x / (1 + exp(-2 * sqrt_two_over_pi * (x + 0.044715 * x * x * x)));
    case UnaryKind::mish: return x * std::tanh(softplus(x));
    case UnaryKind::softplus: return softplus(x);
    case UnaryKind::elu: return x < 0 ? s.a * std::expm1(x) : x;
    case UnaryKind::selu: return s.b * (x < 0 ? s.a * std::expm1(x) : x);
    case UnaryKind::softsign: return x / (1 + std::abs(x));
    case UnaryKind::sqrt: return std::sqrt(x);
    case UnaryKind::reciprocal: return 1 / x;
    case UnaryKind::sin: return std::sin(x);
    case UnaryKind::cos: return std::cos(x);
    default: ADD_FAILURE() << "no reference"; return NAN;
  }
}

// Infinity counts as the float that would follow the largest.
double finite(double v) { return v > 0x1p128 ? 0x1p128 : v < -0x1p128 ? -0x1p128 : v; }

double ulps_per_unit(double v) {
  const auto exponent = static_cast<int64_t>(std::bit_cast<uint64_t>(v) >> 52 & 0x7ff) - 1023;
  return std::bit_cast<double>(static_cast<uint64_t>(1023 + 23 - std::clamp<int64_t>(exponent, -126, 127)) << 52);
}

constexpr double smallest = 0x1p-126;  // above the subnormal numbers

struct Worst {
  double ulp = 0;
  float x = 0, y = 0;
};

// The largest error of each kernel among x_at(i), from <= i < to.
template <class F>
std::vector<Worst> measure(const Function& f, const std::vector<pointwise::Kernel>& kernels, uint64_t from, uint64_t to, const F& x_at) {
  constexpr uint64_t block = 4096;
  static thread_local std::array<float, block> x, y;
  static thread_local std::array<double, block> want, ulps;
  std::vector<Worst> worst(kernels.size());
  const bool bounded = f.is({UnaryKind::tanh, UnaryKind::sigmoid, UnaryKind::erf});
  const bool vanishes = f.is({UnaryKind::silu, UnaryKind::mish, UnaryKind::gelu, UnaryKind::gelu_tanh});
  for (; from < to; from += block) {
    const uint64_t n = std::min(block, to - from);
    for (uint64_t i = 0; i < n; ++i) {
      x[i] = std::bit_cast<float>(x_at(from + i));
      want[i] = vanishes && x[i] == -HUGE_VALF ? 0 : finite(exact(f.stage, x[i]));
      ulps[i] = ulps_per_unit(f.of_argument ? double{x[i]} : want[i]);
    }
    for (size_t k = 0; k < kernels.size(); ++k) {
      if (!kernels[k]) continue;
      kernels[k].run(x.data(), nullptr, y.data(), 1, static_cast<int64_t>(n));
      const bool flushed = Function::arm32(pointwise::rows()[k].name);
      for (uint64_t i = 0; i < n; ++i) {
        const auto ulp_of = [&](double right) {
          if (flushed && y[i] == 0 && std::abs(right) <= smallest) return 0.0;  // it may have been less before it was rounded
          const double error = std::abs(finite(y[i]) - right);
          if (error != error) return (right != right) == (y[i] != y[i]) || (vanishes && x[i] == -HUGE_VALF) ? 0.0 : HUGE_VAL;
          return error <= f.least ? 0.0 : error * ulps[i];
        };
        double ulp = ulp_of(want[i]);
        if (flushed && std::abs(x[i]) < smallest) ulp = std::min(ulp, ulp_of(finite(exact(f.stage, std::copysign(0.0f, x[i])))));
        if (bounded && std::abs(y[i]) > (pointwise::rows()[k].name.ends_with("jit_avx512") ? 1 + 0x1p-23f : 1)) ulp = HUGE_VAL;
        if (ulp > worst[k].ulp) worst[k] = {ulp, x[i], y[i]};
      }
    }
  }
  return worst;
}

class PointwiseError : public testing::TestWithParam<size_t> {};

TEST_P(PointwiseError, IsBounded) {
  const Function& f = functions()[GetParam()];
  const bool every = std::getenv("INLAY_EVERY_FLOAT") != nullptr;
  const uint64_t stride = every ? 1 : 1021, count = ((uint64_t{1} << 32) + stride - 1) / stride;
  std::vector<pointwise::Kernel> kernels;
  for (const pointwise::Row& row : pointwise::rows()) {
    const bool runs = test::unavailable(row).empty() && row.supports({f.stage}).refusal.empty();
    kernels.push_back(runs ? row.make({f.stage}) : pointwise::Kernel{});
  }
  constexpr uint64_t parts = 256;
  std::vector<std::vector<Worst>> worst(parts + 1);
  ThreadPool(every ? os::available_cores() : 1).run(parts, [&](int64_t task) {
    const auto part = static_cast<uint64_t>(task);
    worst[part] = measure(f, kernels, count * part / parts, count * (part + 1) / parts,
                          [stride](uint64_t i) { return static_cast<uint32_t>(i * stride); });
  });
  constexpr uint32_t edges[] = {0, 1, 0x007fffff, 0x00800000, 0x3f800000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000};
  worst[parts] = measure(f, kernels, 0, 2 * std::size(edges),
                         [&](uint64_t i) { return edges[i / 2] | static_cast<uint32_t>(i % 2) << 31; });
  for (size_t k = 0; k < kernels.size(); ++k) {
    if (!kernels[k]) continue;
    const std::string_view row = pointwise::rows()[k].name;
    Worst most;
    for (const auto& part : worst)
      if (part[k].ulp > most.ulp) most = part[k];
    EXPECT_LE(most.ulp, f.bound(row)) << row << ": f(" << testing::PrintToString(most.x) << ") = " << testing::PrintToString(most.y);
    if (every) std::printf("  %s: %.4g ulp, f(%.9g) = %.9g\n", std::string(row).c_str(), most.ulp, most.x, most.y);
  }
}

INSTANTIATE_TEST_SUITE_P(, PointwiseError, testing::Range<size_t>(0, functions().size()),
                         [](const auto& info) { return functions()[info.param].name; });
}  // namespace
