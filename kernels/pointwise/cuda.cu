// Chains of elementwise functions: a kernel that is compiled for the chain while the program runs, and one that
// interprets any.
#include <map>
#include <mutex>
#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/families.h"
#include "kernels/cuda/generated.h"
#include "kernels/pointwise/cuda_source.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

__global__ void __launch_bounds__(threads)
    chain_f32(const __grid_constant__ Epilogue chain, DType x_type, DType y_type, const void* x, void* y,
              int64_t x_stride, int64_t y_stride, int64_t rows, int64_t columns, int64_t count) {
  for (int64_t i = linear_thread(); i < count; i += linear_threads()) {
    const int64_t row = i / columns, column = i % columns;
    const float v = load_real(x_type, x, row * x_stride + column);
    Kept::store(y_type, y, row * y_stride + column, apply(chain, v, row % rows, column));
  }
}

const char* refusal(const PointwiseProblem& p) { return refusal_of(p.chain, p.kept); }
double cost(const PointwiseProblem& p) { return p.chain.size; }
Failure run(const PointwiseProblem& p, const PointwiseArgs& args, Stream* stream) {
  const int64_t count = p.outer * p.rows * p.columns;
  if (count == 0) return nullptr;
  return launch<void>(chain_f32, blocks_for(count, threads), threads, stream,
                      Epilogue(p.chain, args.operands.data(), p.kept), p.kept.x, p.kept.y, args.x, args.y, p.x_stride,
                      p.y_stride, p.rows, p.columns, count);
}

// The kernels that have been compiled, by chain.
class Compiled {
 public:
  static Failure make(const Chain& chain, int sm) {
    const std::scoped_lock lock(mutex_);
    Generated*& code = all_[text_of(chain)];
    return generate(pointwise::cuda_source(chain), sm, &code);
  }
  static Generated* find(const Chain& chain) {
    const std::scoped_lock lock(mutex_);
    const auto it = all_.find(text_of(chain));
    return it == all_.end() ? nullptr : it->second;
  }

 private:
  // What its source depends on.
  static std::string text_of(const Chain& chain) {
    std::string text;
    const auto put = [&](auto value) { text.append(reinterpret_cast<const char*>(&value), sizeof value); };
    for (const pointwise::Stage& s : chain) {
      put(s.binary);
      if (s.binary) put(s.op), put(s.operand), put(s.swapped), put(s.mode);
      else put(s.unary), put(s.a), put(s.b);
    }
    return text;
  }
  static inline std::mutex mutex_;
  static inline std::map<std::string, Generated*> all_;
};

const char* refuse_generated(const PointwiseProblem& p) {
  constexpr int64_t least = 4096;
  if (p.outer * p.rows * p.columns < least) return "too few elements to compile a kernel for";
  bool singles = p.kept.x == schema::DType::f32 && p.kept.y == schema::DType::f32;
  for (const schema::DType t : p.kept.operands) singles = singles && t == schema::DType::f32;
  return singles ? refusal(p) : "types other than f32";
}
double cost_of_generated(const PointwiseProblem& p) { return 0.25 * p.chain.size; }
Failure prepare_generated(const PointwiseProblem& p, int sm) { return Compiled::make(p.chain, sm); }
Failure run_generated(const PointwiseProblem& p, const PointwiseArgs& args, Stream* stream) {
  Generated* const code = Compiled::find(p.chain);
  if (!code) return "a chain that was not prepared";
  pointwise::SourceParameters parameters{static_cast<const float*>(args.x),
                                         static_cast<float*>(args.y),
                                         {},
                                         {},
                                         p.x_stride,
                                         p.y_stride,
                                         p.rows,
                                         p.columns,
                                         p.outer * p.rows * p.columns,
                                         0};
  const auto whole = [](const void* data, int64_t stride) {
    return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % 4 == 0;
  };
  bool vectors = p.columns % 4 == 0 && whole(args.x, p.x_stride) && whole(args.y, p.y_stride);
  for (const pointwise::Stage& s : p.chain) {
    if (!s.binary) continue;
    const Operand& o = args.operands[s.operand];
    parameters.operand[s.operand] = o.data, parameters.stride[s.operand] = o.stride;
    vectors = vectors && (s.mode != pointwise::Mode::full || whole(o.data, o.stride));
  }
  parameters.vectors = vectors;
  // Every place that an Index counts: of rows that lie apart, too.
  const int64_t row_count = p.outer * p.rows, stride = std::max({p.x_stride, p.y_stride, p.columns});
  const bool small = row_count <= INT32_MAX / (stride > 0 ? stride : 1);
  return launch_generated(code, small ? pointwise::source_entry_small : pointwise::source_entry_large,
                          blocks_for(vectors ? parameters.count / 4 : parameters.count, threads), threads, stream,
                          &parameters, sizeof parameters);
}
}  // namespace

Family<PointwiseProblem, PointwiseArgs> pointwise_family() {
  static constexpr Row<PointwiseProblem, PointwiseArgs> rows[] = {
      {"pointwise_generated_f32_cuda", 80, threads, refuse_generated, cost_of_generated, run_generated, nullptr,
       prepare_generated},
      {"pointwise_f32_cuda", 80, threads, refusal, cost, run}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
