// Weights of few bits, because a product with few rows waits for memory: the user asks for it, and is told the error.
#include <algorithm>
#include <cmath>
#include "converter/convert.h"
#include "engine/op.h"

namespace converter {
using namespace engine;
namespace {
constexpr int64_t block = 32;                // elements of a row that share a scale
constexpr int64_t least_elements = 1 << 14;  // of a weight that is worth it

class Narrower {
 public:
  Narrower(Graph& graph, DType dtype) : graph_(graph), rewriter_(graph), dtype_(dtype) {}

  NarrowWeights run() {
    for (size_t i = 0, count = graph_.nodes.size(); i < count; ++i) {
      const Node node = graph_.nodes[i];
      const auto* op = node.op.get_if<schema::MatMul>();
      const Constant* w = op ? graph_[node.inputs[1]].constant.get() : nullptr;
      if (!w || op->trans_a || w->dtype != DType::f32 || w->shape.size() != 2 || w->view().elements() < least_elements || !graph_[node.inputs[0]].type.ranked) continue;
      ValueIds in{node.inputs[0]};
      for (const ConstantPtr& c : narrowed(*w, op->trans_b, node)) in.push_back(graph_.add_constant(c));
      const ValueId y = rewriter_.add(schema::NarrowMatMul{dtype_ == DType::bf16 ? 0 : block}, in, node.origins)[0];
      graph_[y].name = graph_[node.outputs[0]].name;
      rewriter_.replace(node.outputs[0], y);
    }
    rewriter_.commit();
    result_.error = squares_ > 0 ? std::sqrt(errors_ / squares_) : 0;
    return result_;
  }

 private:
  // w, and of integers the scales and zero points. Zero is kept exact: padding and pruned weights stay what they are.
  std::vector<ConstantPtr> narrowed(const Constant& w, bool transposed, const Node& node) {
    const int64_t n = w.shape[transposed ? 0 : 1], k = w.shape[transposed ? 1 : 0], blocks = (k + block - 1) / block;
    const ConstView from = w.view();
    const auto at = [&](int64_t row, int64_t i) { return load<double>(from, transposed ? row * k + i : i * n + row); };
    const bool integers = dtype_ != DType::bf16;
    const double levels = dtype_ == DType::u4 ? 15 : 255;
    Object to, scales, zeros;
    const View out = to.set_tensor(dtype_, Shape{n, k});
    const View scale = scales.set_tensor(DType::f32, Shape{integers ? n : 0, blocks}), zero = zeros.set_tensor(integers ? dtype_ : DType::u8, Shape{integers ? n : 0, blocks});
    const ConstView stored = std::as_const(to).view();
    double errors = 0, squares = 0;
    for (int64_t row = 0; row < n; ++row)
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t first = b * block, last = std::min(k, first + block);
        double low = 0, high = 0;
        for (int64_t i = first; i < last; ++i) low = std::min(low, at(row, i)), high = std::max(high, at(row, i));
        const double step = high > low ? double(float((high - low) / levels)) : 1, origin = std::clamp(std::nearbyint(-low / step), 0.0, levels);
        if (integers) store(scale, row * blocks + b, step), store(zero, row * blocks + b, Int(int64_t(origin)));
        for (int64_t i = first; i < last; ++i) {
          const double v = at(row, i), number = std::clamp(std::nearbyint(v / step) + origin, 0.0, levels);
          if (integers) store(out, row * k + i, Int(int64_t(number)));
          else store(out, row * k + i, v);
          const double kept = integers ? (number - origin) * step : load<double>(stored, row * k + i);
          errors += (v - kept) * (v - kept), squares += v * v;
        }
      }
    errors_ += errors, squares_ += squares;
    const double error = squares > 0 ? std::sqrt(errors / squares) : 0;
    if (error >= result_.worst) result_.worst = error, result_.worst_at = to_text(node.origins);
    ++result_.products, result_.elements += n * k;
    std::vector<ConstantPtr> all{make_constant(std::as_const(to).view())};
    if (integers) all.push_back(make_constant(std::as_const(scales).view())), all.push_back(make_constant(std::as_const(zeros).view()));
    return all;
  }

  Graph& graph_;
  Rewriter rewriter_;
  const DType dtype_;
  NarrowWeights result_;
  double errors_ = 0, squares_ = 0;
};
}  // namespace

NarrowWeights narrow_weights(Graph& graph, DType dtype) {
  require(dtype == DType::u4 || dtype == DType::u8 || dtype == DType::bf16, Code::invalid_argument, "weights are narrowed to u4, u8 or bf16, not ", name(dtype));
  return Narrower(graph, dtype).run();
}
}  // namespace converter
