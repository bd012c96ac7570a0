// Ops that ONNX has dropped, and that old exporters still write.
#include "converter/onnx_node.h"

namespace converter {
namespace {
using schema::BinaryKind;

void affine(OnnxNode& n) {
  n.expect_inputs(1, 1);
  n.set(0, n.binary(BinaryKind::add, n.binary(BinaryKind::mul, n.in(0), n.real("alpha", 1)), n.real("beta", 0)));
}
// x * scale + bias[channel]
void image_scaler(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const auto bias = n.reals("bias");
  Object object;
  const View view = object.set_tensor(n.dtype(0), Shape{int64_t(bias.size()), 1, 1});
  for (size_t i = 0; i < bias.size(); ++i) store(view, int64_t(i), bias[i]);
  const ValueId offset = n.constant(make_constant(std::as_const(object).view()));
  n.set(0, n.binary(BinaryKind::add, n.binary(BinaryKind::mul, n.in(0), n.real("scale", 1)), offset));
}
// Drops a border (left, top, right, bottom), or takes `scale` rows and columns behind its left and top.
void crop(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const schema::Ints border = n.integers("border"), size = n.integers("scale");
  check(border.size() == 4 && (size.empty() || size.size() == 2),
        "attributes border and scale must have 4 and 2 entries");
  const auto end = [&](int64_t behind) { return behind ? -behind : INT64_MAX; };
  const ValueId ends =
      size.empty() ? n.ints({end(border[3]), end(border[2])}) : n.ints({border[1] + size[0], border[0] + size[1]});
  n.finish(schema::Slice{}, {n.in(0), n.ints({border[1], border[0]}), ends, n.ints({2, 3})});
}
void scaled_tanh(OnnxNode& n) {
  const ValueId inner = n.binary(BinaryKind::mul, n.in(0), n.real("beta", 1));
  n.set(0, n.binary(BinaryKind::mul, n.unary(schema::UnaryKind::tanh, inner), n.real("alpha", 1)));
}
void parametric_softplus(OnnxNode& n) {
  const ValueId inner = n.binary(BinaryKind::mul, n.in(0), n.real("beta", 1));
  n.set(0, n.binary(BinaryKind::mul, n.unary(schema::UnaryKind::softplus, inner), n.real("alpha", 1)));
}

constexpr Row legacy_rows[] = {{"Affine", affine}, {"ImageScaler", image_scaler}, {"Crop", crop}, {"ScaledTanh", scaled_tanh},
                               {"ParametricSoftplus", parametric_softplus}};
}  // namespace

Group legacy_group() { return {onnx_domain, legacy_rows}; }
}  // namespace converter
