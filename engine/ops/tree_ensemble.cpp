#include "kernels/tree/tree.h"
#include <cmath>
#include "engine/op.h"
#include "engine/plan.h"

namespace engine {
namespace {
using schema::ReduceKind, schema::TreeEnsemble, schema::TreeTest;
namespace tree = kernels::tree;
enum Input : size_t { x_in, splits_in, branches_in, tests_in, roots_in, leaves_in, targets_in, weights_in, input_count };

template <class Get> tree::Structure structure(const Get& in) {
  return {in(branches_in).template as<int32_t>(), in(tests_in).template as<uint8_t>(), in(roots_in).template as<int32_t>(),
          in(leaves_in).template as<int32_t>(), in(targets_in).template as<int32_t>()};
}
void expect_valid(const TreeEnsemble& op, const tree::Structure& s, int64_t features) {
  const std::string reason = tree::invalid(s, features, op.targets);
  check(reason.empty(), "the ensemble is not valid: ", reason);
}

Types infer(const TreeEnsemble& op, const InferContext& in) {
  in.expect_inputs(input_count, input_count);
  in.expect_class(x_in, schema::DTypeClass::real);
  in.expect_same_dtype(x_in, splits_in), in.expect_same_dtype(x_in, weights_in);
  for (size_t k : {branches_in, roots_in, leaves_in, targets_in}) in.expect_dtype(k, {DType::i32});
  in.expect_dtype(tests_in, {DType::u8});
  using enum ReduceKind;
  check(op.aggregate == sum || op.aggregate == mean || op.aggregate == min || op.aggregate == max, "cannot aggregate trees by ",
        name(op.aggregate));
  check(op.targets >= 1 && op.targets < limits::extent, op.targets, " targets are not possible");
  const Dims x = in.expect_rank(x_in, 2);
  Dim nodes = in.expect_rank(splits_in, 1)[0];
  meet(nodes, in.expect_rank(tests_in, 1)[0], "the nodes");
  meet(nodes, in.expect_rank(branches_in, 2)[0], "the nodes");
  check(may_equal(in.expect_rank(branches_in, 2)[1], 3), "branches are ", in.in(branches_in), ", not [nodes,3]");
  Dim weights = in.expect_rank(weights_in, 1)[0];
  meet(weights, in.expect_rank(targets_in, 1)[0], "the weights");
  check(!(in.expect_rank(roots_in, 1)[0] == Dim(0)), "there are no trees");
  in.expect_rank(leaves_in, 1);
  bool constant = true;
  for (size_t k = branches_in; k < weights_in; ++k) constant &= in.constant(k) != nullptr;
  if (constant)
    expect_valid(op, structure([&](size_t k) { return in.constant(k)->view(); }), x[1].known() ? x[1].value() : limits::extent);
  return {Type::tensor(in.in(x_in).dtype, {x[0], Dim(op.targets)})};
}

bool holds(TreeTest test, double x, double split) {
  switch (test) {
    case TreeTest::less_equal: return x <= split;
    case TreeTest::less: return x < split;
    case TreeTest::greater_equal: return x >= split;
    case TreeTest::greater: return x > split;
    case TreeTest::equal: return x == split;
    case TreeTest::not_equal: return x != split;
  }
  return false;
}

// The leaf that a row of x ends in.
int32_t walk(const tree::Structure& s, int32_t at, const ConstView& x, int64_t row, const ConstView& splits) {
  while (at >= 0) {
    const int32_t* b = &s.branches[size_t(3 * int64_t(at))];
    const double v = load<double>(x, row + b[0]);
    const uint8_t test = s.tests[size_t(at)];
    const bool passes = holds(TreeTest(test & ~tree::nan_holds), v, load<double>(splits, at)) || ((test & tree::nan_holds) && std::isnan(v));
    at = b[passes ? 1 : 2];
  }
  return -1 - at;
}

void reference(const TreeEnsemble& op, RunContext& c) {
  const ConstView &x = c.in(x_in), &splits = c.in(splits_in), &weights = c.in(weights_in);
  const tree::Structure s = structure([&](size_t k) { return c.in(k); });
  const int64_t rows = x.shape[0], features = x.shape[1];
  check(splits.elements() == int64_t(s.tests.size()) && weights.elements() == int64_t(s.targets.size()), "there are ",
        splits.elements(), " splits for ", s.tests.size(), " nodes, and ", weights.elements(), " weights for ", s.targets.size(), " targets");
  check(!s.roots.empty(), "there are no trees");
  expect_valid(op, s, features);
  const int64_t shape[] = {rows, op.targets};
  const View y = c.sized(0) ? c.out(0) : c.set_out(0, x.dtype, shape);
  const auto sums = c.workspace<double>(size_t(op.targets));
  for (int64_t r = 0; r < rows; ++r) {
    if (r % 64 == 0) c.check_stop();
    std::ranges::fill(sums, NAN);
    for (const int32_t root : s.roots) {
      const int32_t leaf = walk(s, root, x, r * features, splits);
      for (int64_t w = s.leaves[size_t(leaf)]; w < s.leaves[size_t(leaf) + 1]; ++w) {
        double& to = sums[size_t(s.targets[size_t(w)])];
        const double by = load<double>(weights, w);
        if (std::isnan(to)) to = by;
        else to = op.aggregate == ReduceKind::min ? std::fmin(to, by) : op.aggregate == ReduceKind::max ? std::fmax(to, by) : to + by;
      }
    }
    for (int64_t t = 0; t < op.targets; ++t) {
      const double sum = std::isnan(sums[size_t(t)]) ? 0 : sums[size_t(t)];
      store(y, r * op.targets + t, op.aggregate == ReduceKind::mean ? sum / double(s.roots.size()) : sum);
    }
  }
}

std::optional<Lowered> lower(const TreeEnsemble& op, const LowerContext& c) {
  if (c.in(x_in).dtype != DType::f32) return std::nullopt;
  for (size_t k = splits_in; k < input_count; ++k)
    if (!c.constant(k)) return std::nullopt;
  const int64_t rows = c.in(x_in).dims[0].value(), features = c.in(x_in).dims[1].value();
  tree::Trees trees{structure([&](size_t k) { return c.constant(k)->view(); }), c.constant(splits_in)->view().as<float>(),
                    c.constant(weights_in)->view().as<float>()};
  const tree::Spec spec = tree::describe(trees, features, op.targets, op.aggregate);
  auto choice = tree::select(spec, c.isa);
  if (!choice) return std::nullopt;
  const std::vector<const Constant*> all{c.constant(splits_in), c.constant(branches_in), c.constant(tests_in), c.constant(roots_in),
                                         c.constant(leaves_in), c.constant(targets_in), c.constant(weights_in)};
  const auto packed = packed_weight(c, all, cat(choice.name, " nodes", spec.nodes, " trees", spec.trees, " leaves", spec.leaves, " single", spec.single),
                                    choice.kernel.packed_bytes(), [kernel = choice.kernel, trees](std::byte* to) { kernel.pack(trees, to); }, Storable::no);
  return Lowered{choice.name, [kernel = choice.kernel, packed, rows](RunContext& r) {
    kernel.run(packed.get(), reinterpret_cast<const float*>(r.in(x_in).data), reinterpret_cast<float*>(r.out(0).data), rows, r.scratch(),
               r.pool(), r.threads());
  }, int64_t(choice.kernel.scratch_bytes(rows))};
}

// A comparison for each level of a balanced tree, and an addition.
double flops(const TreeEnsemble&, std::span<const Type> in, std::span<const Type>) {
  if (!in[x_in].determined() || !in[splits_in].determined() || !in[roots_in].determined()) return 0;
  const double trees = double(in[roots_in].dims[0].value()), nodes = double(in[splits_in].dims[0].value());
  return double(in[x_in].dims[0].value()) * trees * (1 + std::log2(1 + nodes / std::max(trees, 1.0)));
}
}  // namespace

const OpDef<TreeEnsemble>& def(const TreeEnsemble&) {
  static constexpr OpDef<TreeEnsemble> def{.infer = infer, .reference = reference, .lower = lower, .flops = flops};
  return def;
}
}  // namespace engine
