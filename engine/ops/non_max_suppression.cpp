#include <algorithm>
#include <array>
#include <cmath>
#include "engine/device_lowering.h"

namespace engine {
namespace {
using schema::NonMaxSuppression, schema::BoundedNonMaxSuppression;

void check_inputs(const InferContext& in) {
  in.expect_inputs(2, 5);
  in.expect_dtype(0, {DType::f32}), in.expect_dtype(1, {DType::f32});
  const Type &boxes = in.in(0), &scores = in.in(1);
  if (boxes.ranked) check(boxes.rank() == 3 && may_equal(boxes.dims[2], 4), "boxes must be [batch, count, 4]");
  if (scores.ranked) check(scores.rank() == 3, "scores must be [batch, classes, count]");
  if (boxes.ranked && scores.ranked)
    check(may_equal(boxes.dims[0], scores.dims[0]) && may_equal(boxes.dims[1], scores.dims[2]), "boxes and scores differ in batch or count");
  if (in.has(2)) in.expect_dtype(2, {DType::i64});
  if (in.has(3)) in.expect_dtype(3, {DType::f32});
  if (in.has(4)) in.expect_dtype(4, {DType::f32});
}
Types infer(const NonMaxSuppression&, const InferContext& in) {
  check_inputs(in);
  return {Type::tensor(DType::i64, {Dim::unknown(), 3})};
}
Types infer(const BoundedNonMaxSuppression& op, const InferContext& in) {
  check_inputs(in);
  const Dims scores = in.expect_rank(1, 3);
  check(op.most >= 0 && op.most <= limits::extent, "at most ", op.most, " boxes of a class");
  return {Type::tensor(DType::i64, {scores[0] * scores[1] * Dim(op.most), 3}), Type::tensor(DType::i64, Dims{1})};
}

struct Box {
  float x0, y0, x1, y1;
  float area() const { return (x1 - x0) * (y1 - y0); }
};

Box read_box(const float* b, bool center) {
  if (center) return {b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2};
  return {std::min(b[1], b[3]), std::min(b[0], b[2]), std::max(b[1], b[3]), std::max(b[0], b[2])};  // any two corners: y, x
}

float overlap(const Box& a, const Box& b) {
  const float width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (width <= 0 || height <= 0) return 0;
  const float shared = width * height, all = a.area() + b.area() - shared;
  return all > 0 ? shared / all : 0;
}

// Greedy: the best box left stays, unless it overlaps a better one of its class by more than the threshold.
Scratch<std::array<int64_t, 3>> select(bool center_point_box, int64_t bound, RunContext& c) {
  const auto boxes = c.in(0).as<float>(), scores = c.in(1).as<float>();
  const int64_t batches = c.in(1).shape[0], classes = c.in(1).shape[1], count = c.in(1).shape[2];
  check(c.in(0).shape[0] == batches && c.in(0).shape[1] == count && c.in(0).shape[2] == 4, "boxes and scores differ in batch or count");
  const auto scalar = [&](size_t k, double otherwise) {
    return !c.has(k) || c.in(k).elements() == 0 ? otherwise : load<double>(c.in(k), 0);
  };
  const int64_t most =
      c.has(2) && c.in(2).elements() ? std::clamp<int64_t>(load<Int>(c.in(2), 0).v, 0, std::min(count, bound)) : 0;
  const double limit = scalar(3, 0), least = scalar(4, -INFINITY);
  check(limit >= 0 && limit <= 1, "the IoU threshold ", limit, " is outside 0 to 1");
  Scratch<std::array<int64_t, 3>> selected;
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t k = 0; k < classes; ++k) {
      const auto score = scores.subspan((b * classes + k) * count, count);
      Scratch<int64_t> order;
      for (int64_t i = 0; i < count; ++i)
        if (score[i] > least) order.push_back(i);
      std::ranges::stable_sort(order, std::greater(), [&](int64_t i) { return score[i]; });
      Scratch<Box> kept;
      for (int64_t i : order) {
        if (int64_t(kept.size()) >= most) break;
        if (const auto& budget = Budget::current()) budget->spend(double(kept.size()));
        const Box box = read_box(&boxes[(b * count + i) * 4], center_point_box);
        if (std::ranges::any_of(kept, [&](const Box& better) { return overlap(box, better) > limit; })) continue;
        kept.push_back(box);
        selected.push_back({b, k, i});
      }
    }
  return selected;
}

void reference(const NonMaxSuppression& op, RunContext& c) {
  const auto selected = select(op.center_point_box, INT64_MAX, c);
  const int64_t shape[] = {int64_t(selected.size()), 3};
  const View y = c.set_out(0, DType::i64, shape);
  for (size_t i = 0; i < selected.size(); ++i) std::ranges::copy(selected[i], y.as<int64_t>().begin() + int64_t(i) * 3);
}
void reference(const BoundedNonMaxSuppression& op, RunContext& c) {
  const auto selected = select(op.center_point_box, op.most, c);
  const auto y = c.out(0).as<int64_t>();
  std::ranges::fill(y, 0);
  for (size_t i = 0; i < selected.size(); ++i) std::ranges::copy(selected[i], y.begin() + int64_t(i) * 3);
  store(c.out(1), 0, Int(int64_t(selected.size())));
}

std::optional<Lowered> lower(const BoundedNonMaxSuppression& op, const LowerContext& c) {
  if (!c.target) return std::nullopt;
  const Shape scores = c.in(1).shape();
  const auto scalar = [&](size_t k) {
    return c.has(k) && elements(c.in(k).shape()) ? device_input(c, k) : DeviceInput();
  };
  const kernels::cuda::NonMaxSuppressionProblem problem{scores[0], scores[1], scores[2], op.most, op.center_point_box};
  return lower_on_device(c, &kernels::cuda::Backend::non_max_suppression, problem,
                         [boxes = device_input(c, 0), scores = device_input(c, 1), most = scalar(2), limit = scalar(3),
                          least = scalar(4)](RunContext& r) {
                           return kernels::cuda::NonMaxSuppressionArgs{
                               boxes.at(r), scores.at(r),       most.at<int64_t>(r),   limit.at(r),
                               least.at(r), out_at<int64_t>(r), out_at<int64_t>(r, 1), r.scratch()};
                         });
}

// Each box that is kept is compared with all others: some ten operations.
double flops(const BoundedNonMaxSuppression& op, std::span<const Type> in, std::span<const Type>) {
  return in[1].determined() ? 10.0 * double(op.most) * double(elements(in[1].shape())) : 0;
}
}  // namespace

const OpDef<NonMaxSuppression>& def(const NonMaxSuppression&) {
  static constexpr OpDef<NonMaxSuppression> def{.infer = infer, .reference = reference};
  return def;
}
const OpDef<BoundedNonMaxSuppression>& def(const BoundedNonMaxSuppression&) {
  static constexpr OpDef<BoundedNonMaxSuppression> def{
      .infer = infer, .reference = reference, .lower = lower, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
