// Pictures: decoding, and resampling as a whole, on a grid and in regions.
#include <algorithm>
#include "converter/onnx_node.h"

namespace converter {
namespace {
using schema::GridPadding, schema::PixelOrder, schema::PoolKind, schema::ResizeAspect, schema::ResizeCoordinates, schema::ResizeMode, schema::ResizeNearest;

ResizeMode mode(OnnxNode& n) {
  return n.choice<ResizeMode>("mode", "nearest", {{"nearest", ResizeMode::nearest}, {"linear", ResizeMode::linear},
                                                  {"bilinear", ResizeMode::linear}, {"cubic", ResizeMode::cubic}});
}

ValueId scales_of(OnnxNode& n) {
  std::vector<double> given =
      n.opset() < 7 ? std::vector{1.0, 1.0, n.real("height_scale"), n.real("width_scale")} : n.reals("scales");
  const std::vector<float> values(given.begin(), given.end());
  const int64_t count = int64_t(values.size());
  return n.constant(
      make_constant({DType::f32, std::span(&count, 1), reinterpret_cast<const std::byte*>(values.data()), nullptr}));
}

// Before opset 11: coordinates times scale; where an extent shrinks, "nearest" rounded up.
void resize_by_scales(OnnxNode& n, ValueId scales) {
  schema::Resize op;
  op.mode = mode(n);
  op.coordinates = ResizeCoordinates::asymmetric;
  op.nearest = ResizeNearest::floor;
  if (const ConstantPtr known = n.constant(scales); known && n.op_type() == "Resize")
    for (int64_t i = 0; i < known->view().elements(); ++i)
      if (load<double>(known->view(), i) < 1) op.nearest = ResizeNearest::ceil;
  n.finish(op, {n.in(0), ValueId::none, scales});
}

void upsample(OnnxNode& n) { resize_by_scales(n, n.opset() < 9 ? scales_of(n) : n.in(1)); }

void resize(OnnxNode& n) {
  if (n.opset() < 11) return resize_by_scales(n, n.in(1));
  n.expect_inputs(1, 4);
  schema::Resize op;
  op.mode = mode(n);
  op.coordinates = n.choice<ResizeCoordinates>("coordinate_transformation_mode", "half_pixel",
                                               {{"half_pixel", ResizeCoordinates::half_pixel},
                                                {"half_pixel_symmetric", ResizeCoordinates::half_pixel_symmetric},
                                                {"pytorch_half_pixel", ResizeCoordinates::pytorch_half_pixel},
                                                {"align_corners", ResizeCoordinates::align_corners},
                                                {"asymmetric", ResizeCoordinates::asymmetric},
                                                {"tf_crop_and_resize", ResizeCoordinates::tf_crop_and_resize}});
  op.nearest = n.choice<ResizeNearest>("nearest_mode", "round_prefer_floor",
                                       {{"round_prefer_floor", ResizeNearest::round_prefer_floor},
                                        {"round_prefer_ceil", ResizeNearest::round_prefer_ceil},
                                        {"floor", ResizeNearest::floor},
                                        {"ceil", ResizeNearest::ceil}});
  op.aspect = n.choice<ResizeAspect>("keep_aspect_ratio_policy", "stretch",
                                     {{"stretch", ResizeAspect::stretch},
                                      {"not_larger", ResizeAspect::not_larger},
                                      {"not_smaller", ResizeAspect::not_smaller}});
  op.antialias = n.flag("antialias", false);
  op.exclude_outside = n.flag("exclude_outside", false);
  op.cubic_a = n.real("cubic_coeff_a", -0.75);
  op.extrapolation = n.real("extrapolation_value", 0);
  op.axes = n.integers("axes");
  ValueIds inputs = n.all();
  // Opset 11 had no way to leave an input out but an empty tensor.
  for (size_t k = 1; k < inputs.size(); ++k)
    if (n.empty_constant(k)) inputs[k] = ValueId::none;
  if (op.coordinates != ResizeCoordinates::tf_crop_and_resize && inputs.size() > 1) inputs[1] = ValueId::none;
  n.finish(op, inputs);
}

// Opset 20 renamed two of the modes.
void grid_sample(OnnxNode& n) {
  n.expect_inputs(2, 2);
  schema::GridSample op;
  op.mode = n.choice<ResizeMode>("mode", n.opset() < 20 ? "bilinear" : "linear",
                                 {{"linear", ResizeMode::linear},
                                  {"bilinear", ResizeMode::linear},
                                  {"nearest", ResizeMode::nearest},
                                  {"cubic", ResizeMode::cubic},
                                  {"bicubic", ResizeMode::cubic}});
  op.padding = n.choice<GridPadding>("padding_mode", "zeros",
                                     {{"zeros", GridPadding::zeros},
                                      {"border", GridPadding::border},
                                      {"reflection", GridPadding::reflection}});
  op.align_corners = n.flag("align_corners", false);
  n.finish(op, n.all());
}

void affine_grid(OnnxNode& n) {
  n.expect_inputs(2, 2);
  n.finish(schema::AffineGrid{n.flag("align_corners", false)}, n.all());
}

// Before opset 16 an element's centre was at its index.
void roi_align(OnnxNode& n) {
  n.expect_inputs(3, 3);
  schema::RoiAlign op;
  op.kind = n.choice<PoolKind>("mode", "avg", {{"avg", PoolKind::average}, {"max", PoolKind::max}});
  op.height = n.integer("output_height", 1);
  op.width = n.integer("output_width", 1);
  op.samples = n.integer("sampling_ratio", 0);
  op.scale = n.real("spatial_scale", 1);
  op.half_pixel = n.opset() >= 16 && n.choice<bool>("coordinate_transformation_mode", "half_pixel",
                                                    {{"half_pixel", true}, {"output_half_pixel", false}});
  n.finish(op, n.all());
}

void image_decoder(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const auto order = n.choice<PixelOrder>(
      "pixel_format", "RGB", {{"RGB", PixelOrder::rgb}, {"BGR", PixelOrder::bgr}, {"Grayscale", PixelOrder::grey}});
  n.finish(schema::ImageDecoder{order}, n.all());
}

constexpr Row resize_rows[] = {{"Resize", resize},          {"Upsample", upsample},  {"GridSample", grid_sample},
                               {"AffineGrid", affine_grid}, {"RoiAlign", roi_align}, {"ImageDecoder", image_decoder}};
}  // namespace

Group resize_group() { return {onnx_domain, resize_rows}; }
}  // namespace converter
