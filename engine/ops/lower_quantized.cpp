// QuantizedMatMul of constant weights as a product of signed bytes. Zero points need no subtraction before it:
//   Σ (a - p)(b - q) = Σ a·b - p Σ b - q Σ a + K·p·q
// in integers that wrap, as the op's sums do where they are its result; where they are requantised, K is small enough that none does,
// and the bias is added in double. Sums of b are known when the plan is made.
#include <algorithm>
#include <limits>
#include "engine/ops/lowering.h"
#include "engine/plan.h"
#include "kernels/gemm_s8/gemm_s8.h"
#include "kernels/split.h"

namespace engine {
namespace {
namespace gemm_s8 = kernels::gemm_s8;
enum : size_t { zero_of_x = 2, zero_of_w, bias, factor, zero_of_y };

// What one feature adds to all of its sums, and what it multiplies them by.
struct Features {
  std::vector<uint32_t> sums, zeros;  // of b: over k; its zero points
  bool any_zero = false;
};

int64_t centre(DType dtype) { return dtype == DType::u8 ? 128 : 0; }  // what a byte is taken less by, to be signed
uint32_t zero_less_centre(const ConstView& zero, int64_t i) {
  return uint32_t(int32_t(load<Int>(zero, zero.elements() == 1 ? 0 : i).v - centre(zero.dtype)));
}

struct Product {
  gemm_s8::Kernel kernel;
  PackedWeight packed;
  Features features;
  int64_t m, n, k;
  schema::DType to;
};

// round((sum + bias) * by) + zero in the range of T, for a row. NaN becomes 0. Halves become even: of numbers below 2^22, the lowest bit
// of what is added is that of integers.
template <class T> void requantise(const int32_t* sums, const int32_t* add, T* y, int64_t n, const float* by, int64_t by_step, float zero) {
  constexpr float low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max(), integers = 3 << 22;
  for (int64_t i = 0; i < n; ++i) {
    const float sum = add ? float(double(sums[i]) + double(add[i])) : float(sums[i]);  // one rounding
    const float x = sum * by[i * by_step], held = x == x ? x : -zero;
    const float in_range = std::min(std::max(held, low - zero), high - zero);
    y[i] = T(int32_t((in_range + integers) - integers + zero));
  }
}

void run(const Product& p, RunContext& r) {
  const bool requantised = r.has(factor);
  const int64_t m = p.m, n = p.n, k = p.k;
  const std::byte* a = r.in(0).data;
  auto* offsets = reinterpret_cast<uint32_t*>(r.scratch());
  auto* sums = requantised ? reinterpret_cast<int32_t*>(offsets + n) : reinterpret_cast<int32_t*>(r.out(0).data);
  p.kernel->run({.a = a, .lda = k, .b = p.packed.get(), .c = sums, .ldc = n, .m = m}, r.pool(), r.threads());
  const uint32_t zero = r.has(zero_of_x) ? zero_less_centre(r.in(zero_of_x), 0) : uint32_t(-centre(r.in(0).dtype));
  const auto* added = r.has(bias) ? reinterpret_cast<const int32_t*>(r.in(bias).data) : nullptr;
  for (int64_t j = 0; j < n; ++j) {
    offsets[j] = uint32_t(k) * zero * p.features.zeros[size_t(j)] - zero * p.features.sums[size_t(j)];
    if (added && !requantised) offsets[j] += uint32_t(added[j]);
  }
  const bool one_factor = requantised && r.in(factor).elements() == 1;
  const auto* by = requantised ? reinterpret_cast<const float*>(r.in(factor).data) : nullptr;
  const float zero_of_result = r.has(zero_of_y) ? float(load<double>(r.in(zero_of_y), 0)) : 0;
  kernels::run_split(r.pool(), r.threads(), m, 1, m * (n + (p.features.any_zero ? k : 0)), [&](int64_t first, int64_t last, int64_t, int64_t) {
    for (int64_t row = first; row < last; ++row) {
      auto* sum = reinterpret_cast<uint32_t*>(sums + row * n);
      if (p.features.any_zero) {
        uint32_t of_a = 0;
        const auto* bytes = reinterpret_cast<const uint8_t*>(a + row * k);
        if (r.in(0).dtype == DType::u8) for (int64_t i = 0; i < k; ++i) of_a += uint32_t(int32_t(bytes[i]) - 128);
        else for (int64_t i = 0; i < k; ++i) of_a += uint32_t(int32_t(int8_t(bytes[i])));
        for (int64_t j = 0; j < n; ++j) sum[j] += offsets[j] - of_a * p.features.zeros[size_t(j)];
      } else {
        for (int64_t j = 0; j < n; ++j) sum[j] += offsets[j];
      }
      if (!requantised) continue;
      const auto* from = sums + row * n;
      std::byte* to = r.out(0).data + row * n;
      if (p.to == DType::u8) requantise(from, added, reinterpret_cast<uint8_t*>(to), n, by, one_factor ? 0 : 1, zero_of_result);
      else requantise(from, added, reinterpret_cast<int8_t*>(to), n, by, one_factor ? 0 : 1, zero_of_result);
    }
  });
}
}  // namespace

bool is_product_of_bytes(const Graph& graph, const Node& node) {
  const auto type = [&](size_t k) -> const Type& { return graph[node.inputs[k]].type; };
  const auto has = [&](size_t k) { return k < node.inputs.size() && node.inputs[k] != ValueId::none; };
  const auto one = [&](size_t k) { return !has(k) || (type(k).determined() && elements(type(k).shape()) == 1); };
  const auto* op = node.op.get_if<schema::QuantizedMatMul>();
  if (!op || !graph[node.inputs[1]].constant || !type(0).determined() || type(1).rank() != 2 || type(0).rank() < 2) return false;
  const int64_t n = type(1).dims[op->trans_b ? 0 : 1].value(), k = type(0).dims.back().value();
  if (n == 0 || k == 0 || (has(factor) && k > INT32_MAX / (255 * 255)) || elements(type(0).shape()) == 0) return false;
  if (has(zero_of_w)) {
    const Constant* zero = graph[node.inputs[zero_of_w]].constant.get();
    // It is broadcast to b: along the features it is a column where b is transposed, else a row.
    const auto along = [&] { return op->trans_b ? zero->shape == Shape{n, 1} : zero->shape == Shape{n} || zero->shape == Shape{1, n}; };
    if (!zero || (zero->view().elements() != 1 && !along())) return false;
  }
  const auto of_features = [&](size_t k) { return !has(k) || one(k) || (type(k).determined() && type(k).shape() == Shape{n}); };
  return one(zero_of_x) && one(zero_of_y) && of_features(factor) && (!has(bias) || (type(bias).determined() && type(bias).shape() == Shape{n}));
}

std::optional<Lowered> lower_quantized_mat_mul(const schema::QuantizedMatMul& op, const LowerContext& c) {
  if (!gemm_s8::pays(c.isa) || !is_product_of_bytes(c.graph, c.node)) return std::nullopt;
  const Constant& w = *c.constant(1);
  const Shape a = c.in(0).shape();
  const int64_t k = a.back(), n = w.shape[op.trans_b ? 0 : 1];
  auto choice = gemm_s8::select({.n = n, .k = k, .unsigned_a = c.in(0).dtype == DType::u8}, c.isa);
  if (!choice) return std::nullopt;
  Product p{choice.kernel, {}, {}, elements(a) / k, n, k, op.to};
  Charge charge(n * int64_t(2 * sizeof(uint32_t)));
  p.features.sums.resize(size_t(n)), p.features.zeros.resize(size_t(n));
  const auto signed_bytes = std::make_shared<Scratch<int8_t>>(size_t(k * n), int8_t(0));
  Scratch<int8_t>& b = *signed_bytes;
  const auto* bytes = reinterpret_cast<const uint8_t*>(w.data);
  const auto flip = uint8_t(centre(w.dtype));
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const auto byte = int8_t(bytes[op.trans_b ? j * k + i : i * n + j] ^ flip);
      b[size_t(i * n + j)] = byte, p.features.sums[size_t(j)] += uint32_t(int32_t(byte));
    }
  for (int64_t j = 0; j < n; ++j) {
    uint32_t& zero = p.features.zeros[size_t(j)];
    zero = c.has(zero_of_w) ? zero_less_centre(c.constant(zero_of_w)->view(), j) : uint32_t(-centre(w.dtype));
    p.features.any_zero |= zero != 0;
  }
  p.packed = packed_weight(c, {&w}, cat(choice.name, " n", n, " k", k, " t", op.trans_b, " c", flip), choice.kernel->packed_bytes(),
                           [kernel = choice.kernel, signed_bytes, n](std::byte* to) { kernel->pack_b(signed_bytes->data(), n, to); });
  const int64_t sums = c.has(factor) ? p.m * n : 0;
  return Lowered{choice.name, [p = std::move(p), charge = std::move(charge)](RunContext& r) { run(p, r); }, (n + sums) * int64_t(sizeof(int32_t))};
}
}  // namespace engine
