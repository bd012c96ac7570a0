// Shapes, and data that moves without being looked at.
#include <algorithm>
#include <cmath>
#include "converter/onnx_node.h"

namespace converter {
namespace {
using schema::Ints;

// A parameter that was the attribute `name` before opset `since`, and is input k from there on. None: absent.
ValueId parameter(OnnxNode& n, const char* name, int since, size_t k) {
  if (n.opset() >= since) return n.in(k);
  return n.has_attribute(name) ? n.ints(n.integers(name)) : ValueId::none;
}

void constant(OnnxNode& n) {
  n.expect_inputs(0, 0);
  require(!n.has_attribute("sparse_value"), Code::unsupported, "sparse tensors are not supported");
  ConstantPtr value = n.tensor("value");
  if (n.has_attribute("value_float")) value = make_scalar(DType::f32, n.real("value_float"));
  if (n.has_attribute("value_int")) value = make_scalar(DType::i64, n.integer("value_int"));
  if (n.has_attribute("value_ints")) value = make_ints(n.integers("value_ints"));
  if (n.has_attribute("value_string")) value = make_strings({}, {n.text("value_string")});
  if (n.has_attribute("value_strings")) {
    auto texts = n.texts("value_strings");
    const int64_t count = int64_t(texts.size());
    value = make_strings({count}, std::move(texts));
  }
  if (n.has_attribute("value_floats")) {
    const auto values = n.reals("value_floats");
    const std::vector<float> floats(values.begin(), values.end());
    const int64_t count = int64_t(floats.size());
    value =
        make_constant({DType::f32, std::span(&count, 1), reinterpret_cast<const std::byte*>(floats.data()), nullptr});
  }
  check(value != nullptr, "attribute value is missing");
  n.set(0, n.constant(value));
}
void identity(OnnxNode& n) {
  n.expect_inputs(1, 1);
  n.set(0, n.in(0));
}

// An extent of 0 that the input has no dim for is inferred: ONNX Runtime's optimiser reads head sizes so, and models
// that were shrunk to less than one element per head run with it alone.
ValueId inferred_zero(OnnxNode& n, ValueId shape) {
  const auto sizes = n.known_sizes(shape);
  if (!sizes || !n.type(0).ranked || std::ranges::count(*sizes, Dim(-1))) return shape;
  std::vector<int64_t> change(sizes->size(), 0);
  for (size_t i = size_t(n.rank(0)); i < change.size(); ++i)
    if ((*sizes)[i] == Dim(0)) change[i] = -1;
  if (std::ranges::count(change, -1) != 1) return shape;
  return n.add(schema::Binary{schema::BinaryKind::add}, {shape, n.ints(change)});
}
void reshape(OnnxNode& n) {
  n.ignore({"consumed_inputs"});
  n.expect_inputs(1, n.opset() >= 5 ? 2 : 1);
  const schema::Reshape op{n.flag("allowzero", false)};
  const ValueId shape = parameter(n, "shape", 5, 1);
  n.finish(op, {n.in(0), op.allow_zero ? shape : inferred_zero(n, shape)});
}
void flatten(OnnxNode& n) {
  const int64_t axis = n.integer("axis", 1);
  n.finish(schema::Flatten{axis}, n.all());
}
void squeeze(OnnxNode& n) { n.finish(schema::Squeeze{}, {n.in(0), parameter(n, "axes", 13, 1)}); }
void unsqueeze(OnnxNode& n) { n.finish(schema::Unsqueeze{}, {n.in(0), parameter(n, "axes", 13, 1)}); }
void transpose(OnnxNode& n) {
  n.expect_inputs(1, 1);
  n.finish(schema::Transpose{n.integers("perm")}, n.all());
}
void expand(OnnxNode& n) { n.finish(schema::Expand{}, n.all()); }
void concat(OnnxNode& n) {
  n.expect_inputs(1, size_t(limits::ports));
  n.finish(schema::Concat{n.opset() < 4 ? n.integer("axis", 1) : n.integer("axis")}, n.all());
}
void split(OnnxNode& n) {
  n.expect_inputs(1, n.opset() == 1 || n.opset() >= 13 ? 2 : 1);
  schema::Split op{n.integer("axis", 0), 0};
  ValueId sizes = n.in(1);
  if (n.opset() < 13 && n.has_attribute("split")) sizes = n.ints(n.integers("split"));
  if (sizes == ValueId::none)
    op.parts = n.opset() >= 18 ? n.integer("num_outputs", int64_t(n.outputs())) : int64_t(n.outputs());
  // Parts that nobody reads still take their share.
  int64_t parts = int64_t(n.outputs());
  if (const auto known = n.known_ints(sizes)) parts = int64_t(known->size());
  else if (sizes == ValueId::none) parts = op.parts;
  check(parts >= 1 && parts <= limits::ports, "splits into ", parts, " parts");
  n.set_all(n.add_all(op, {n.in(0), sizes}, size_t(parts)));
}
void slice(OnnxNode& n) {
  if (n.opset() >= 10) return n.finish(schema::Slice{}, n.all());
  n.expect_inputs(1, 1);
  const Ints starts = n.integers("starts"), ends = n.integers("ends");
  Ints axes = n.integers("axes");
  if (axes.empty())
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(int64_t(i));
  check(starts.size() == ends.size() && starts.size() == axes.size(),
        "attributes starts, ends and axes differ in length");
  n.finish(schema::Slice{}, {n.in(0), n.ints(starts), n.ints(ends), n.ints(axes)});
}
void pad(OnnxNode& n) {
  using schema::PadMode;
  const schema::Pad op{n.choice<PadMode>("mode", "constant",
                                         {{"constant", PadMode::constant},
                                          {"reflect", PadMode::reflect},
                                          {"edge", PadMode::edge},
                                          {"wrap", PadMode::wrap}})};
  if (n.opset() >= 11) return n.finish(op, n.all());
  n.expect_inputs(1, 1);
  const Ints pads = n.integers(n.opset() < 2 ? "paddings" : "pads");
  n.finish(op, {n.in(0), n.ints(pads), n.scalar_like(n.in(0), n.real("value", 0))});
}
void tile(OnnxNode& n) {
  if (n.opset() >= 6) return n.finish(schema::Tile{}, n.all());
  n.expect_inputs(3, 3);
  const auto whole = [&](size_t k) {  // a number of the dtype of x
    const auto number = n.known_scalar(n.in(k));
    require(number.has_value(), Code::unsupported, "tiles and axis must be constant");
    check(std::fabs(*number) <= double(limits::extent), "input ", k, " is ", *number);
    return int64_t(*number);
  };
  std::vector<int64_t> repeats(size_t(n.rank(0)), 1);
  repeats[size_t(normal_axis(whole(2), n.rank(0)))] = whole(1);
  n.finish(schema::Tile{}, {n.in(0), n.ints(repeats)});
}

template <class Op> void depth_space(OnnxNode& n) {
  using schema::DepthMode;
  const auto mode = n.choice<DepthMode>("mode", "DCR", {{"DCR", DepthMode::dcr}, {"CRD", DepthMode::crd}});
  n.finish(Op{n.integer("blocksize"), mode}, n.all());
}
void trilu(OnnxNode& n) { n.finish(schema::Trilu{n.flag("upper", true)}, n.all()); }
void shape(OnnxNode& n) { n.finish(schema::Shape{n.integer("start", 0), n.integer("end", INT64_MAX)}, n.all()); }
void size(OnnxNode& n) { n.finish(schema::Size{}, n.all()); }
void range(OnnxNode& n) {
  n.ignore({"stash_type"});
  n.finish(schema::Range{}, n.all());
}
void constant_of_shape(OnnxNode& n) {
  const ConstantPtr value = n.tensor("value");
  n.expect_inputs(1, 1);
  n.finish(schema::ConstantOfShape{}, {n.in(0), value ? n.constant(value) : n.scalar(DType::f32, 0)});
}

// Crops or pads each of the axes, around the centre, to the extents of the second input. An odd rest goes behind.
void center_crop_pad(OnnxNode& n) {
  using schema::BinaryKind;
  n.expect_inputs(2, 2);
  n.expect_dtype(1, {DType::i32, DType::i64});
  Ints axes = n.integers("axes");
  if (axes.empty())
    for (int64_t i = 0; i < n.rank(0); ++i) axes.push_back(i);
  for (int64_t& axis : axes) axis = normal_axis(axis, n.rank(0));
  const ValueId sizes = n.add(schema::Gather{0}, {n.add(schema::Shape{}, {n.in(0)}), n.ints(axes)});
  const ValueId more = n.binary(BinaryKind::sub, n.cast(n.in(1), DType::i64), sizes);
  const ValueId begins = n.binary(BinaryKind::div, more, 2), ends = n.binary(BinaryKind::sub, more, begins);
  n.finish(schema::Pad{}, {n.in(0), n.add(schema::Concat{0}, {begins, ends}), ValueId::none, n.ints(axes)});
}

constexpr Row shape_rows[] = {{"Constant", constant},
                              {"Identity", identity},
                              {"Reshape", reshape},
                              {"Flatten", flatten},
                              {"Squeeze", squeeze},
                              {"Unsqueeze", unsqueeze},
                              {"Transpose", transpose},
                              {"Expand", expand},
                              {"Concat", concat},
                              {"Split", split},
                              {"Slice", slice},
                              {"Pad", pad},
                              {"Tile", tile},
                              {"DepthToSpace", depth_space<schema::DepthToSpace>},
                              {"SpaceToDepth", depth_space<schema::SpaceToDepth>},
                              {"Trilu", trilu},
                              {"Shape", shape},
                              {"Size", size},
                              {"Range", range},
                              {"ConstantOfShape", constant_of_shape},
                              {"CenterCropPad", center_crop_pad}};
}  // namespace

Group shape_group() { return {onnx_domain, shape_rows}; }
}  // namespace converter
