// Normalisations.
#include "converter/onnx_node.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::ReduceKind;

// Training computes the statistics of the batch, and moves the running ones toward them.
void train_batch_norm(OnnxNode& n, double epsilon, double momentum) {
  const ValueId x = n.in(0);
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < n.rank(0); ++i)
    if (i != 1) axes.push_back(i);
  const ValueId centre = n.reduce(ReduceKind::mean, x, axes);
  const ValueId offset = n.binary(BinaryKind::sub, x, centre);
  const ValueId variance = n.reduce(ReduceKind::mean, n.binary(BinaryKind::mul, offset, offset), axes, false);
  const ValueId mean = n.reduce(ReduceKind::mean, x, axes, false);
  n.set(0, n.add(schema::BatchNorm{epsilon},
                 {x, n.in(1), n.in(2), n.cast(mean, n.dtype(3)), n.cast(variance, n.dtype(4))}));
  for (size_t k : {1, 2}) {
    if (!n.wants(k)) continue;
    const ValueId running = n.in(k + 2), batch = n.cast(k == 1 ? mean : variance, n.dtype(k + 2));
    n.set(k, n.binary(BinaryKind::add, n.binary(BinaryKind::mul, running, momentum),
                      n.binary(BinaryKind::mul, batch, 1 - momentum)));
  }
}

void batch_normalization(OnnxNode& n) {
  n.expect_inputs(5, 5);
  n.ignore({"consumed_inputs"});
  const double epsilon = n.real("epsilon", 1e-5f), momentum = n.real("momentum", 0.9f);
  // Before opset 14 further outputs meant training; before opset 7 an attribute did, which inference ran without.
  n.ignore({"is_test"});
  require(n.flag("spatial", true), Code::unsupported, "attribute spatial 0 is not supported");
  if (n.flag("training_mode", false)) return train_batch_norm(n, epsilon, momentum);
  require(n.outputs() <= 1, Code::unsupported, "training is not supported in opset ", n.opset());
  n.finish(schema::BatchNorm{epsilon}, n.all());
}

void layer_normalization(OnnxNode& n) {
  n.ignore({"stash_type"});
  n.expect_inputs(2, 3);
  n.finish(schema::LayerNorm{n.integer("axis", -1), n.real("epsilon", 1e-5f)}, n.all());
}
void rms_normalization(OnnxNode& n) {
  n.ignore({"stash_type"});
  n.expect_inputs(2, 2);
  n.finish(schema::LayerNorm{n.integer("axis", -1), n.real("epsilon", 1e-5f), true}, n.all());
}
void instance_normalization(OnnxNode& n) {
  n.ignore({"consumed_inputs"});
  n.expect_inputs(3, 3);
  n.finish(schema::GroupNorm{0, n.real("epsilon", 1e-5f)}, n.all());
}
// Before opset 21 scale and bias were one per group.
void group_normalization(OnnxNode& n) {
  n.ignore({"stash_type"});
  n.expect_inputs(3, 3);
  const int64_t groups = n.integer("num_groups");
  check(groups > 0, "attribute num_groups is ", groups);
  const auto per_channel = [&](ValueId v) {
    if (n.opset() >= 21) return v;
    const int64_t channels = n.extent(n.in(0), 1);
    check(channels % groups == 0, channels, " channels do not divide into ", groups, " groups");
    return n.reshape(n.add(schema::Expand{}, {n.unsqueeze(v, {1}), n.ints({groups, channels / groups})}), {channels});
  };
  n.finish(schema::GroupNorm{groups, n.real("epsilon", 1e-5f)}, {n.in(0), per_channel(n.in(1)), per_channel(n.in(2))});
}

constexpr Row norm_rows[] = {{"BatchNormalization", batch_normalization}, {"LayerNormalization", layer_normalization},
                             {"RMSNormalization", rms_normalization}, {"InstanceNormalization", instance_normalization},
                             {"GroupNormalization", group_normalization}};
}  // namespace

Group norm_group() { return {onnx_domain, norm_rows}; }
}  // namespace converter
