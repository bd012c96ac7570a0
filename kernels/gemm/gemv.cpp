#include "kernels/gemm/gemv.h"
#include "kernels/split.h"

namespace kernels::gemm {
namespace {
constexpr int64_t line = 16;  // results, which one thread writes

class Gemv final : public Gemm {
 public:
  Gemv(const Spec& spec, DotsFunction dots, isa::Mask target) : spec_(spec), dots_(dots) {
    if (!spec.epilogue.empty()) pass_ = pointwise::select(spec.epilogue, target).kernel;
  }
  size_t packed_bytes() const override { return 0; }
  size_t scratch_bytes(int64_t) const override { return 0; }
  void pack_b(const float*, int64_t, void*, int64_t, int64_t) const override {}
  Panel panel(int64_t column) const override { return {column * spec_.k, 1}; }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const int64_t bytes = spec_.n * spec_.k * int64_t{sizeof(float)};
    for (int64_t m = 0; m < args.m; ++m)
      run_divided(pool, max_threads, {.blocks = divide_up(spec_.n, line), .work = spec_.n * spec_.k + 4 * bytes, .for_blocks = bytes},
                  [&](int64_t, int64_t, int64_t first, int64_t last) { columns(args, m, first * line, std::min(last * line, spec_.n)); });
  }

 private:
  void columns(const Args& args, int64_t m, int64_t n0, int64_t n1) const {
    float* const c = args.c + m * args.ldc + n0;
    dots_({args.a + m * args.lda, static_cast<const float*>(args.b) + n0 * args.ldb, args.ldb, spec_.k, c, n1 - n0});
    for (int64_t n = 0; spec_.bias && n < n1 - n0; ++n) c[n] += args.bias[n0 + n];
    if (!pass_) return;
    const pointwise::Operands operands = pointwise::offset(spec_.epilogue, args.operands, m, n0);
    pass_.run({c, args.ldc, c, args.ldc, operands.data(), 1, n1 - n0});
  }

  Spec spec_;
  DotsFunction dots_;
  pointwise::Kernel pass_;
};
}  // namespace

Support supports_gemv(const Spec& s) {
  if (s.n < 0 || s.k < 0) return {0, "a negative extent"};
  if (!s.in_place || s.b != B::packed || !s.transposed_b) return {0, "B has to be packed"};
  if (s.rows != 1 || s.shorter) return {0, "more than one row of A"};
  if (s.precision != Precision::f32) return {0, "operands that are rounded take half as long to read"};
  if (std::string_view reason = refusal(s.kept, false); !reason.empty()) return {0, std::string(reason)};
  if (!s.epilogue.empty())
    if (std::string reason = pointwise::unsupported(s.epilogue); !reason.empty()) return {0, "epilogue: " + reason};
  return {1e-3, {}};  // as fast as memory is, and B need not be packed
}

Kernel make_gemv(const Spec& spec, DotsFunction dots, isa::Mask target) { return std::make_shared<const Gemv>(spec, dots, target); }
}  // namespace kernels::gemm
