// QuantizedMatMul and QuantizedConv of constant weights as products of signed bytes. Zero points need no subtraction before it:
//   Σ (a - p)(b - q) = Σ a·b - p Σ b - q Σ a + K·p·q
// in integers that wrap, as the op's sums do where they are its result; where they are requantised, K is small enough that none does,
// and the bias is added in double. Sums of b are known when the plan is made; those of a are products too, by a feature of ones behind
// the others. An image is brought into channels
// last, with its zero point around it, and the result back.
#include <algorithm>
#include <limits>
#include "engine/ops/lowering.h"
#include "engine/ops/spatial.h"
#include "engine/plan.h"
#include "kernels/gemm_s8/pixels.h"
#include "kernels/split.h"
#include "kernels/transpose/transpose.h"

namespace engine {
namespace {
namespace gemm_s8 = kernels::gemm_s8;
enum : size_t { zero_of_x = 2, zero_of_w, bias, factor, zero_of_y };

// What one feature adds to all of its sums, and what it multiplies them by.
struct Features {
  std::vector<uint32_t> sums, zeros;  // of b: over k; its zero points
  bool any_zero = false;
  bool bias_fits = false;  // into int32 with the largest sum there may be, so that it needs no addition of its own
};

int64_t centre(DType dtype) { return dtype == DType::u8 ? 128 : 0; }  // what a byte is taken less by, to be signed
uint32_t zero_less_centre(const ConstView& zero, int64_t i) {
  return uint32_t(int32_t(load<Int>(zero, zero.elements() == 1 ? 0 : i).v - centre(zero.dtype)));
}

struct Product {
  gemm_s8::Kernel kernel = {};
  PackedWeight packed = {};
  Features features = {};
  int64_t m = 0, n = 0, k = 0;                      // k: of a tap
  std::optional<gemm_s8::Image> image = {};  // of a convolution
  kernels::transpose::Kernel to_last = {}, to_first = {};
  schema::DType to = schema::DType::u8;

  int64_t taps() const { return image ? image->kernel_h * image->kernel_w : 1; }
  int64_t columns() const { return n + features.any_zero; }
  int64_t x_bytes() const { return m / (image->out_height * image->out_width) * image->height * image->width * k; }
};

// round((sum + bias) * by) + zero in the range of T, for a row. NaN becomes 0. Halves become even: of numbers below 2^22, the lowest bit
// of what is added is that of integers. `one`: a factor for all features.
template <class T, bool one> void requantise(const int32_t* __restrict sums, const int32_t* add, T* __restrict y, int64_t n, const float* __restrict by, float zero) {
  constexpr float low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max(), integers = 3 << 22;
  const float least = low - zero, most = high - zero, all = by[0];
  const auto convert = [&](float sum, int64_t i) {
    const float x = sum * (one ? all : by[i]), held = x == x ? x : -zero;
    const float bounded = held < least ? least : held, in_range = bounded > most ? most : bounded;
    return T(int32_t((in_range + integers) - integers + zero));
  };
  if (add) for (int64_t i = 0; i < n; ++i) y[i] = convert(float(double(sums[i]) + double(add[i])), i);  // one rounding
  else for (int64_t i = 0; i < n; ++i) y[i] = convert(float(sums[i]), i);
}

// Where a run keeps what is not its result, in bytes from the start of its scratch. An empty part is not needed.
struct Parts {
  int64_t sums, x, y, padding, end;  // behind n offsets: [m][columns] sums, an image, its result, what lies around an image
  Parts(const Product& p, bool requantised) {
    const int64_t result = requantised ? 1 : int64_t(sizeof(int32_t));
    sums = p.n * int64_t(sizeof(uint32_t));
    y = sums + (requantised || p.features.any_zero || p.image ? p.m * p.columns() * int64_t(sizeof(int32_t)) : 0);
    x = y + (p.image ? p.m * p.n * result : 0);
    padding = x + (p.image ? p.x_bytes() : 0);
    end = padding + (p.image ? p.k : 0);
  }
};

// Sums less what zero points add to them, requantised if there is a factor: [m][n].
void finish(const Product& p, RunContext& r, int32_t* sums, uint32_t* offsets, std::byte* y) {
  const int64_t n = p.n, columns = p.columns();
  const bool requantised = r.has(factor), one_factor = requantised && r.in(factor).elements() == 1;
  const uint32_t zero = r.has(zero_of_x) ? zero_less_centre(r.in(zero_of_x), 0) : uint32_t(-centre(r.in(0).dtype));
  const int32_t* added = r.has(bias) ? reinterpret_cast<const int32_t*>(r.in(bias).data) : nullptr;
  const auto* by = requantised ? reinterpret_cast<const float*>(r.in(factor).data) : nullptr;
  const float zero_of_result = r.has(zero_of_y) ? float(load<double>(r.in(zero_of_y), 0)) : 0;
  for (int64_t j = 0; j < n; ++j) {
    offsets[j] = uint32_t(p.k * p.taps()) * zero * p.features.zeros[size_t(j)] - zero * p.features.sums[size_t(j)];
    if (added && (!requantised || p.features.bias_fits)) offsets[j] += uint32_t(added[j]);
  }
  if (p.features.bias_fits) added = nullptr;
  const auto requantised_row = [&](const int32_t* from, auto* to) {
    using T = std::remove_pointer_t<decltype(to)>;
    one_factor ? requantise<T, true>(from, added, to, n, by, zero_of_result) : requantise<T, false>(from, added, to, n, by, zero_of_result);
  };
  kernels::run_split(r.pool(), r.threads(), p.m, 1, p.m * columns, [&](int64_t first, int64_t last, int64_t, int64_t) {
    for (int64_t row = first; row < last; ++row) {
      auto* sum = reinterpret_cast<uint32_t*>(sums + row * columns);
      auto* exact = requantised ? sum : reinterpret_cast<uint32_t*>(y) + row * n;
      const uint32_t of_a = p.features.any_zero ? sum[n] : 0, *zeros = p.features.zeros.data();
      if (p.features.any_zero) for (int64_t j = 0; j < n; ++j) exact[j] = sum[j] + offsets[j] - of_a * zeros[j];
      else for (int64_t j = 0; j < n; ++j) exact[j] = sum[j] + offsets[j];
      if (!requantised) continue;
      const auto* from = sums + row * columns;
      if (p.to == DType::u8) requantised_row(from, reinterpret_cast<uint8_t*>(y + row * n));
      else requantised_row(from, reinterpret_cast<int8_t*>(y + row * n));
    }
  });
}

void run(const Product& p, RunContext& r) {
  const Parts parts(p, r.has(factor));
  std::byte *scratch = r.scratch(), *y = p.image ? scratch + parts.y : r.out(0).data;
  auto* sums = reinterpret_cast<int32_t*>(parts.y > parts.sums ? scratch + parts.sums : y);
  gemm_s8::Args args{.a = r.in(0).data, .lda = p.k, .b = p.packed.get(), .c = sums, .ldc = p.columns(), .m = p.m};
  if (p.image) {
    p.to_last.run(r.in(0).data, scratch + parts.x, r.pool(), r.threads());
    std::fill_n(scratch + parts.padding, p.k, r.has(zero_of_x) ? *r.in(zero_of_x).data : std::byte(0));
    const gemm_s8::Pixels pixels(*p.image, scratch + parts.x, scratch + parts.padding);
    args.rows = &pixels;
    p.kernel->run(args, r.pool(), r.threads());
  } else {
    p.kernel->run(args, r.pool(), r.threads());
  }
  finish(p, r, sums, reinterpret_cast<uint32_t*>(scratch), y);
  if (p.image) p.to_first.run(y, r.out(0).data, r.pool(), r.threads());
}

constexpr int64_t least_channels = 8;  // of a convolution: fewer would fill little of a step

// What the kernel is asked for, but for the extents of a convolution.
std::optional<Lowered> lower(Product p, bool trans_b, DType to, const LowerContext& c) {
  const Constant& w = *c.constant(1);
  const int64_t n = p.n, k = p.k, taps = p.taps();
  p.to = to;
  Charge charge(n * int64_t(2 * sizeof(uint32_t)));
  p.features.sums.resize(size_t(n)), p.features.zeros.resize(size_t(n));
  for (int64_t j = 0; j < n; ++j) {
    uint32_t& zero = p.features.zeros[size_t(j)];
    zero = c.has(zero_of_w) ? zero_less_centre(c.constant(zero_of_w)->view(), j) : uint32_t(-centre(w.dtype));
    p.features.any_zero |= zero != 0;
  }
  if (const Constant* b = c.has(bias) ? c.constant(bias) : nullptr) {
    const int64_t largest = k * taps * 255 * 255;
    p.features.bias_fits = true;
    for (int64_t j = 0; j < n; ++j) p.features.bias_fits &= std::abs(load<Int>(b->view(), j).v) + largest <= INT32_MAX;
  }
  const int64_t columns = p.columns();
  auto choice = gemm_s8::select({.n = columns, .k = k, .unsigned_a = c.in(0).dtype == DType::u8, .taps = taps}, c.isa);
  if (!choice) return std::nullopt;
  const auto signed_bytes = std::make_shared<Scratch<int8_t>>(size_t(taps * k * columns), int8_t(1));
  Scratch<int8_t>& b = *signed_bytes;
  const auto* bytes = reinterpret_cast<const uint8_t*>(w.data);
  const auto flip = uint8_t(centre(w.dtype));
  for (int64_t tap = 0; tap < taps; ++tap)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const int64_t at = p.image ? (j * k + i) * taps + tap : trans_b ? j * k + i : i * n + j;
        const auto byte = int8_t(bytes[at] ^ flip);
        b[size_t((tap * k + i) * columns + j)] = byte, p.features.sums[size_t(j)] += uint32_t(int32_t(byte));
      }
  p.kernel = choice.kernel;
  p.packed = packed_weight(c, {&w}, cat(choice.name, " n", columns, " k", k, " taps", taps, " t", trans_b, " c", flip), choice.kernel->packed_bytes(),
                           [kernel = choice.kernel, signed_bytes, columns](std::byte* to) { kernel->pack_b(signed_bytes->data(), columns, to); });
  const int64_t scratch = Parts(p, c.has(factor)).end;
  return Lowered{choice.name, [p = std::move(p), charge = std::move(charge)](RunContext& r) { run(p, r); }, scratch};
}
}  // namespace

bool is_product_of_bytes(const Graph& graph, const Node& node) {
  const auto type = [&](size_t k) -> const Type& { return graph[node.inputs[k]].type; };
  const auto has = [&](size_t k) { return k < node.inputs.size() && node.inputs[k] != ValueId::none; };
  const auto one = [&](size_t k) { return !has(k) || (type(k).determined() && elements(type(k).shape()) == 1); };
  const auto* op = node.op.get_if<schema::QuantizedMatMul>();
  const auto* conv = node.op.get_if<schema::QuantizedConv>();
  if (!(op || (conv && gemm_s8::convolutions_pay && conv->groups == 1)) || !graph[node.inputs[1]].constant || !type(0).determined() || elements(type(0).shape()) == 0) return false;
  if (op ? type(1).rank() != 2 || type(0).rank() < 2 : type(0).rank() != 4) return false;
  const Shape w = type(1).shape();
  const int64_t n = w[op && !op->trans_b], taps = op ? 1 : w[2] * w[3], k = op ? type(0).dims.back().value() : w[1] * taps;
  if (n == 0 || k == 0 || (has(factor) && k > INT32_MAX / (255 * 255))) return false;
  if (!op && (w[1] < least_channels || taps > gemm_s8::Spec::most_taps || elements(graph[node.outputs[0]].type.shape()) == 0)) return false;
  if (has(zero_of_w)) {
    const Constant* zero = graph[node.inputs[zero_of_w]].constant.get();
    // That of a product is broadcast to b: along the features it is a column where b is transposed, else a row.
    const auto along = [&] { return op && op->trans_b ? zero->shape == Shape{n, 1} : zero->shape == Shape{n} || (op && zero->shape == Shape{1, n}); };
    if (!zero || (zero->view().elements() != 1 && !along())) return false;
  }
  const auto of_features = [&](size_t k) { return !has(k) || one(k) || (type(k).determined() && type(k).shape() == Shape{n}); };
  return one(zero_of_x) && one(zero_of_y) && of_features(factor) && (!has(bias) || (type(bias).determined() && type(bias).shape() == Shape{n}));
}

std::optional<Lowered> lower_quantized_mat_mul(const schema::QuantizedMatMul& op, const LowerContext& c) {
  if (!gemm_s8::pays(c.isa) || !is_product_of_bytes(c.graph, c.node)) return std::nullopt;
  const Shape a = c.in(0).shape();
  const int64_t k = a.back();
  return lower(Product{.m = elements(a) / k, .n = c.constant(1)->shape[op.trans_b ? 0 : 1], .k = k}, op.trans_b, op.to, c);
}

std::optional<Lowered> lower_quantized_conv(const schema::QuantizedConv& op, const LowerContext& c) {
  if (!gemm_s8::pays(c.isa) || !is_product_of_bytes(c.graph, c.node)) return std::nullopt;
  const Shape x = c.in(0).shape(), y = c.out(0).shape(), w = c.constant(1)->shape;
  const std::vector<Window> windows = engine::windows(op, 2);
  const auto begin = [&](size_t d) { return windows[d].before(x[d + 2], w[d + 2]); };
  Product p{.m = y[0] * y[2] * y[3], .n = w[0], .k = x[1]};
  p.image = gemm_s8::Image{x[1], x[2], x[3], y[2], y[3], w[2], w[3], windows[0].stride, windows[1].stride, windows[0].dilation, windows[1].dilation, begin(0), begin(1)};
  p.to_last = kernels::transpose::select({1, x, {0, 2, 3, 1}}, c.isa).kernel;
  p.to_first = kernels::transpose::select({c.has(factor) ? 1 : int(sizeof(int32_t)), {y[0], y[2], y[3], y[1]}, {0, 3, 1, 2}}, c.isa).kernel;
  if (!p.to_last || !p.to_first) return std::nullopt;
  return lower(std::move(p), false, op.to, c);
}
}  // namespace engine
