// One meaning per op: what older opsets spelled otherwise.
#include "engine/image_decoder.h"
#include "tests/converter/onnx_text.h"
#include "tests/engine/evaluate.h"

namespace converter::test {
namespace {
const std::string x234 = input("x", {"2", "3", "4"});

TEST(Opsets, AttributesThatBecameInputs) {
  EXPECT_EQ(imported(11, x23 + y + node("Unsqueeze", {"x"}, {"y"}, int_list("axes", {0, 3}))),
            "input x f32[2,3]\nconst v1 i64[2] {0,3}\ny = Unsqueeze (x, v1)\noutput y\n");
  EXPECT_EQ(imported(13, x23 + y + ints("a", {0, 3}) + node("Unsqueeze", {"x", "a"}, {"y"})),
            "input x f32[2,3]\nconst a i64[2] {0,3}\ny = Unsqueeze (x, a)\noutput y\n");
  EXPECT_EQ(imported(9, x23 + y +
                            node("Slice", {"x"}, {"y"},
                                 int_list("starts", {1}) + int_list("ends", {2}) + int_list("axes", {1}))),
            "input x f32[2,3]\nconst v1 i64[1] {1}\nconst v2 i64[1] {2}\nconst v3 i64[1] {1}\ny = Slice (x, v1, v2, "
            "v3)\noutput y\n");
  EXPECT_EQ(imported(4, x23 + y + node("Reshape", {"x"}, {"y"}, int_list("shape", {3, 2}))),
            "input x f32[2,3]\nconst v1 i64[2] {3,2}\ny = Reshape (x, v1)\noutput y\n");
  EXPECT_EQ(imported(2, x23 + y + node("Pad", {"x"}, {"y"}, int_list("pads", {0, 1, 0, 1}) + attribute("value", 2.5))),
            "input x f32[2,3]\nconst v1 i64[4] {0,1,0,1}\nconst v2 f32[] {2.5}\ny = Pad (x, v1, v2)\noutput y\n");
  EXPECT_EQ(imported(9, x23 + output("v") + node("TopK", {"x"}, {"v", "i"}, attribute("k", 2))),
            "input x f32[2,3]\nconst v1 i64[1] {2}\nv, i = TopK (x, v1)\noutput v\n");
  EXPECT_EQ(imported(11, x23 + y + node("ReduceSum", {"x"}, {"y"}, int_list("axes", {1}) + attribute("keepdims", 0))),
            "input x f32[2,3]\nconst v1 i64[1] {1}\ny = Reduce keepdims=0 (x, v1)\noutput y\n");
  EXPECT_EQ(imported(11, x23 + output("a") +
                             node("Split", {"x"}, {"a", "b"}, int_list("split", {1, 2}) + attribute("axis", 1))),
            "input x f32[2,3]\nconst v1 i64[2] {1,2}\na, b = Split axis=1 (x, v1)\noutput a\n");
}

TEST(Opsets, SoftmaxOnceFlattened) {
  EXPECT_EQ(imported(13, x234 + y + node("Softmax", {"x"}, {"y"}, attribute("axis", 1))),
            "input x f32[2,3,4]\ny = Softmax axis=1 (x)\noutput y\n");
  EXPECT_EQ(imported(11, x234 + y + node("Softmax", {"x"}, {"y"}, attribute("axis", 2))),
            "input x f32[2,3,4]\ny = Softmax axis=2 (x)\noutput y\n");
  EXPECT_EQ(imported(11, input("x", {"2", "3", "1"}) + y + node("Softmax", {"x"}, {"y"})),
            "input x f32[2,3,1]\ny = Softmax axis=1 (x)\noutput y\n");
  EXPECT_EQ(imported(11, x234 + y + node("LogSoftmax", {"x"}, {"y"})),
            "input x f32[2,3,4]\nv1 = Flatten (x)\nv2 = Softmax kind=log_softmax (v1)\nconst v4 i64[3] {2,3,4}\n"
            "y = Reshape allow_zero=1 (v2, v4)\noutput y\n");
}

TEST(Opsets, BroadcastingWasAnAttribute) {
  const std::string b = input("b", {"3"});
  EXPECT_EQ(
      imported(6, x234 + b + y + node("Add", {"x", "b"}, {"y"}, attribute("broadcast", 1) + attribute("axis", 1))),
      "input x f32[2,3,4]\ninput b f32[3]\nconst v2 i64[1] {1}\nv3 = Unsqueeze (b, v2)\ny = Binary (x, v3)\noutput "
      "y\n");
  EXPECT_EQ(imported(6, x234 + b + y + node("PRelu", {"x", "b"}, {"y"})),
            "input x f32[2,3,4]\ninput b f32[3]\nconst v2 i64[1] {1}\nv3 = Unsqueeze (b, v2)\ny = Binary kind=prelu "
            "(x, v3)\noutput y\n");
}

TEST(Opsets, Clip) {
  const std::string clipped = "input x f32[2,3]\ny = Unary kind=clip b=6 (x)\noutput y\n";
  EXPECT_EQ(imported(6, x23 + y + node("Clip", {"x"}, {"y"}, attribute("min", 0.0) + attribute("max", 6.0))), clipped);
  EXPECT_EQ(
      imported(11, x23 + y + floats("lo", {}, {0}) + floats("hi", {}, {6}) + node("Clip", {"x", "lo", "hi"}, {"y"})),
      clipped);
  EXPECT_EQ(imported(11, x23 + input("hi", {}) + y + node("Clip", {"x", "", "hi"}, {"y"})),
            "input x f32[2,3]\ninput hi f32[]\ny = Binary kind=min (x, hi)\noutput y\n");
  EXPECT_EQ(imported(11, x23 + y + node("Clip", {"x"}, {"y"})), "input x f32[2,3]\noutput y = x\n");
  // A low bound above the high one gives the high one.
  EXPECT_EQ(
      imported(11, x23 + y + floats("lo", {}, {2}) + floats("hi", {}, {1}) + node("Clip", {"x", "lo", "hi"}, {"y"})),
      "input x f32[2,3]\ny = Unary kind=clip a=1 b=1 (x)\noutput y\n");
}

TEST(Opsets, OthersThatChanged) {
  EXPECT_EQ(imported(1, x23 + y + node("Cast", {"x"}, {"y"}, attribute("to", "INT32"))),
            "input x f32[2,3]\ny = Cast to=i32 (x)\noutput y\n");
  EXPECT_EQ(imported(9, x23 + y + node("Cast", {"x"}, {"y"}, attribute("to", 6))),
            "input x f32[2,3]\ny = Cast to=i32 (x)\noutput y\n");
  EXPECT_EQ(imported(1, x23 + y + node("Concat", {"x", "x"}, {"y"})),
            "input x f32[2,3]\ny = Concat axis=1 (x, x)\noutput y\n");
  EXPECT_EQ(imported(6, x23 + y + node("Dropout", {"x"}, {"y"}, attribute("ratio", 0.5) + attribute("is_test", 1))),
            "input x f32[2,3]\noutput y = x\n");
  EXPECT_EQ(imported(12, x23 + output("m") + node("Dropout", {"x"}, {"y", "m"})),
            "input x f32[2,3]\nconst m boolean[2,3] {1,1,1,1,1,1}\noutput m\n");
  EXPECT_EQ(imported(9, input("x", {"1", "1", "2", "2"}) + y + floats("s", {4}, {1, 1, 2, 2}) +
                            node("Upsample", {"x", "s"}, {"y"}, attribute("mode", "nearest"))),
            "input x f32[1,1,2,2]\nconst s f32[4] {1,1,2,2}\ny = Resize coordinates=asymmetric nearest=floor (x, _, "
            "s)\noutput y\n");
}

TEST(Opsets, Compositions) {
  EXPECT_EQ(imported(13, x23 + input("w", {"4", "3"}) + input("c", {"4"}) + y +
                             node("Gemm", {"x", "w", "c"}, {"y"}, attribute("transB", 1) + attribute("alpha", 0.5))),
            "input x f32[2,3]\ninput w f32[4,3]\ninput c f32[4]\nv3 = MatMul trans_b=1 (x, w)\nconst v4 f32[] {0.5}\n"
            "v5 = Binary kind=mul (v3, v4)\ny = Binary (v5, c)\noutput y\n");
  EXPECT_EQ(
      imported(13, input("x", {"N", "3", "4", "4"}) + y + node("GlobalAveragePool", {"x"}, {"y"})),
      "input x f32[N,3,4,4]\nconst v1 i64[2] {2,3}\ny = Reduce kind=mean noop_with_empty_axes=1 (x, v1)\noutput y\n");
  EXPECT_EQ(imported(13, input("x", {"2"}, onnx::TensorProto::INT8) + y +
                             node("Shrink", {"x"}, {"y"}, attribute("bias", 1.5) + attribute("lambd", 0.5))),
            "input x i8[2]\nv1 = Cast to=f64 (x)\nv2 = Unary kind=shrink a=1.5 b=0.5 (v1)\ny = Cast to=i8 (v2)\noutput y\n");
  EXPECT_EQ(imported(13, x23 + input("z", {"3"}) + y + node("Mean", {"x", "z"}, {"y"})),
            "input x f32[2,3]\ninput z f32[3]\nv2 = Binary (x, z)\nconst v3 f32[] {2}\ny = Binary kind=div (v2, "
            "v3)\noutput y\n");
  EXPECT_EQ(imported(13, x23 + input("z", {"3"}) + y + node("Max", {"x", "z", "x"}, {"y"})),
            "input x f32[2,3]\ninput z f32[3]\nv2 = Binary kind=max (x, z)\ny = Binary kind=max (v2, x)\noutput y\n");
}

TEST(Opsets, AttentionOfSizesThatTheRunTells) {
  // Heads, their width, all: 2 query heads share 1 key head.
  const std::string dims = input("q", {"B", "H", "S", "D"}) + input("k", {"B", "G", "T", "D"}) + input("v", {"B", "G", "T", "W"});
  const Graph graph = import(model(23, dims + y + node("Attention", {"q", "k", "v"}, {"y"})));
  const auto constant = [](const Shape& shape, const std::vector<float>& values) {
    return make_constant({DType::f32, shape, reinterpret_cast<const std::byte*>(values.data()), nullptr});
  };
  const ConstantPtr q = constant({1, 2, 1, 4}, {2, 0, 0, 0, 0, 4, 0, 0}), k = constant({1, 1, 2, 4}, {1, 0, 0, 0, 0, 1, 0, 0}),
                    v = constant({1, 1, 2, 1}, {1, 3});
  const ConstView inputs[] = {q->view(), k->view(), v->view()};
  const std::vector<Object> out = engine::test::evaluate(graph, inputs);
  EXPECT_EQ(out[0].shape, (Shape{1, 2, 1, 1}));
  const auto weighed = [](double a, double b) { return (std::exp(a) + 3 * std::exp(b)) / (std::exp(a) + std::exp(b)); };
  EXPECT_NEAR(load<double>(out[0].view(), 0), weighed(1, 0), 1e-6);
  EXPECT_NEAR(load<double>(out[0].view(), 1), weighed(0, 2), 1e-6);
}

TEST(Opsets, EinsumTakesADiagonal) {
  // What lies beside it does not matter, be it infinite.
  const Graph graph = import(model(13, input("x", {"N", "N"}) + y + node("Einsum", {"x"}, {"y"}, attribute("equation", "ii->i"))));
  const float values[] = {1, INFINITY, NAN, 2};
  const Shape shape{2, 2};
  const ConstantPtr x = make_constant({DType::f32, shape, reinterpret_cast<const std::byte*>(values), nullptr});
  const ConstView inputs[] = {x->view()};
  const std::vector<Object> out = engine::test::evaluate(graph, inputs);
  EXPECT_EQ(load<double>(out[0].view(), 0), 1);
  EXPECT_EQ(load<double>(out[0].view(), 1), 2);
}

TEST(Opsets, AttentionMixesTypes) {
  // Values and mask may be of other types than queries and keys.
  const Graph graph = import(model(23, input("q", {"1", "1", "2", "4"}) + input("k", {"1", "1", "3", "4"}) +
                                           input("v", {"1", "1", "3", "4"}, onnx::TensorProto::FLOAT16) +
                                           input("mask", {"2", "3"}, onnx::TensorProto::INT8) + y + output("present") +
                                           node("Attention", {"q", "k", "v", "mask"}, {"y", "", "present"})));
  EXPECT_EQ(to_text(graph[graph.outputs[0].value].type), "f32[1,1,2,4]");
  EXPECT_EQ(to_text(graph[graph.outputs[1].value].type), "f16[1,1,3,4]");
}

TEST(Opsets, TheAxisOfATransform) {
  const std::string signal = input("x", {"2", "8", "1"});
  EXPECT_EQ(imported(17, signal + y + node("DFT", {"x"}, {"y"})),
            "input x f32[2,8,1]\nconst v1 i64[] {1}\ny = Dft (x, _, v1)\noutput y\n");
  EXPECT_EQ(imported(19, signal + y + node("DFT", {"x"}, {"y"}, attribute("axis", 0) + attribute("onesided", 1))),
            "input x f32[2,8,1]\nconst v1 i64[] {0}\ny = Dft onesided=1 (x, _, v1)\noutput y\n");
  EXPECT_EQ(imported(20, signal + ints("n", {4}) + y + node("DFT", {"x", "n"}, {"y"}, attribute("inverse", 1))),
            "input x f32[2,8,1]\nconst n i64[1] {4}\ny = Dft inverse=1 (x, n)\noutput y\n");
  EXPECT_EQ(imported(17, signal + ints("n", {4}) + y + node("STFT", {"x", "n", "", "n"}, {"y"})),
            "input x f32[2,8,1]\nconst n i64[1] {4}\ny = Stft (x, n, _, n)\noutput y\n");
  expect_error(model(20, input("x", {"2", "8", "2"}) + y + node("DFT", {"x"}, {"y"}, attribute("onesided", 1))),
               Code::invalid_model, {"needs a real signal"});
}

TEST(Opsets, CountsAndBits) {
  EXPECT_EQ(imported(11, x23 + y + node("Unique", {"x"}, {"y"})), "input x f32[2,3]\ny = Unique (x)\noutput y\n");
  EXPECT_EQ(imported(28, x23 + output("i") + node("Unique", {"x"}, {"y", "", "i"}, attribute("axis", -1) + attribute("sorted", 0))),
            "input x f32[2,3]\ny, v2, i = Unique axis=-1 flat=0 sorted=0 (x)\noutput i\n");
  EXPECT_EQ(imported(26, x23 + y + node("BitCast", {"x"}, {"y"}, attribute("to", 6))), "input x f32[2,3]\ny = BitCast to=i32 (x)\noutput y\n");
  expect_error(model(26, x23 + y + node("BitCast", {"x"}, {"y"}, attribute("to", 7))), Code::invalid_model, {"32 bits", "64"});
  EXPECT_EQ(imported(9, input("x", {"5"}, 7) + y +
                            node("TfIdfVectorizer", {"x"}, {"y"},
                                 attribute("mode", "TFIDF") + attribute("min_gram_length", 1) + attribute("max_gram_length", 2) + attribute("max_skip_count", 1) +
                                     int_list("ngram_counts", {0, 1}) + int_list("ngram_indexes", {1, 0}) + int_list("pool_int64s", {7, 7, 8}))),
            "input x i64[5]\ny = TfIdfVectorizer mode=tf_idf max_length=2 max_skip=1 counts=0,1 indexes=1,0 pool_ints=7,7,8 (x)\noutput y\n");
}

TEST(Opsets, RegionsAndPlaces) {
  const std::string x = input("x", {"1", "2", "4", "4"}), rois = input("r", {"3", "4"});
  const std::string images = input("i", {"3"}, onnx::TensorProto::INT64), line = input("x", {"1", "2", "4"});
  const auto roi_align = [&](int opset, const std::string& rest) {
    const std::string all = imported(opset, x + rois + images + y + node("RoiAlign", {"x", "r", "i"}, {"y"}, rest));
    return all.substr(all.find("y = "));
  };
  // Opset 16 moved the pixels' centres.
  EXPECT_EQ(roi_align(10, attribute("output_height", 2) + attribute("sampling_ratio", 3)), "y = RoiAlign height=2 samples=3 half_pixel=0 (x, r, i)\noutput y\n");
  EXPECT_EQ(roi_align(16, attribute("mode", "max")), "y = RoiAlign kind=max (x, r, i)\noutput y\n");
  EXPECT_EQ(roi_align(22, attribute("coordinate_transformation_mode", "output_half_pixel") + attribute("spatial_scale", 0.5)),
            "y = RoiAlign scale=0.5 half_pixel=0 (x, r, i)\noutput y\n");
  expect_error(model(10, x + rois + images + y + node("RoiAlign", {"x", "r", "i"}, {"y"}, attribute("coordinate_transformation_mode", "half_pixel"))),
               Code::unsupported, {"attribute coordinate_transformation_mode is not known in opset 10"});
  for (int opset : {1, 22})
    EXPECT_EQ(imported(opset, x + input("r", {"3", "5"}) + y + node("MaxRoiPool", {"x", "r"}, {"y"}, int_list("pooled_shape", {2, 3}) + attribute("spatial_scale", 0.25))),
              "input x f32[1,2,4,4]\ninput r f32[3,5]\ny = MaxRoiPool height=2 width=3 scale=0.25 (x, r)\noutput y\n");
  for (int opset : {9, 11, 22})
    EXPECT_EQ(imported(opset, line + input("i", {"1", "2", "4"}, onnx::TensorProto::INT64) + y +
                                  node("MaxUnpool", {"x", "i"}, {"y"}, int_list("kernel_shape", {2}) + int_list("strides", {2}))),
              "input x f32[1,2,4]\ninput i i64[1,2,4]\ny = MaxUnpool kernel=2 stride=2 (x, i)\noutput y\n");
  EXPECT_EQ(imported(18, line + ints("s", {3}) + ints("k", {2}) + y + node("Col2Im", {"x", "s", "k"}, {"y"}, int_list("dilations", {1}) + int_list("pads", {1, 1}))),
            "input x f32[1,2,4]\nconst s i64[1] {3}\nconst k i64[1] {2}\ny = Col2Im dilation=1 pad=1,1 (x, s, k)\noutput y\n");
  EXPECT_EQ(imported(20, input("t", {"1", "2", "3"}) + ints("s", {1, 1, 2, 2}) + y + node("AffineGrid", {"t", "s"}, {"y"}, attribute("align_corners", 1))),
            "input t f32[1,2,3]\nconst s i64[4] {1,1,2,2}\ny = AffineGrid align_corners=1 (t, s)\noutput y\n");
  const std::string w = input("w", {"4", "1", "2"}), offset = input("o", {"1", "4", "3"}), deformed = line + w + offset + y;
  for (int opset : {19, 22})
    EXPECT_EQ(imported(opset, deformed + node("DeformConv", {"x", "w", "o"}, {"y"}, attribute("group", 2) + attribute("offset_group", 2) + int_list("kernel_shape", {2}))),
              "input x f32[1,2,4]\ninput w f32[4,1,2]\ninput o f32[1,4,3]\ny = DeformConv groups=2 offset_groups=2 (x, w, o)\noutput y\n");
  expect_error(model(19, deformed + node("DeformConv", {"x", "w", "o"}, {"y"}, attribute("group", 2) + int_list("kernel_shape", {3}))), Code::invalid_model, {"kernel_shape"});
}

TEST(Opsets, States) {
  const std::string x = input("x", {"1", "2", "8"}), w = input("w", {"2", "1", "4"}), narrow = input("b", {"1", "2", "1"});
  EXPECT_EQ(imported(27, x + w + y + output("p") + node("CausalConvWithState", {"x", "w"}, {"y", "p"}, attribute("activation", "swish"))),
            "input x f32[1,2,8]\ninput w f32[2,1,4]\nv2, p = CausalConvWithState (x, w)\ny = Unary kind=silu a=1 (v2)\noutput y\noutput p\n");
  EXPECT_EQ(imported(28, x + w + output("p") + node("CausalConvWithState", {"x", "w", "", "p0"}, {"", "p"}) + input("p0", {"1", "2", "3"})),
            "input x f32[1,2,8]\ninput w f32[2,1,4]\ninput p0 f32[1,2,3]\nv3, p = CausalConvWithState (x, w, _, p0)\noutput p\n");
  const std::string heads = attribute("q_num_heads", 4) + attribute("kv_num_heads", 2), k = input("k", {"1", "2", "4"});
  EXPECT_EQ(imported(27, x + k + narrow + y + node("LinearAttention", {"x", "k", "k", "", "", "b"}, {"y"}, heads + attribute("update_rule", "delta") + attribute("chunk_size", 16))),
            "input x f32[1,2,8]\ninput k f32[1,2,4]\ninput b f32[1,2,1]\ny = LinearAttention heads=4 kv_heads=2 rule=delta (x, k, k, _, _, b)\noutput y\n");
  expect_error(model(27, x + k + y + node("LinearAttention", {"x", "k", "k"}, {"y"}, heads)), Code::invalid_model, {"gated_delta needs decay"});
  expect_error(model(27, x + k + y + node("LinearAttention", {"x", "k", "k"}, {"y"}, heads + attribute("update_rule", "cubic"))), Code::unsupported, {"update_rule 'cubic'"});
  expect_error(model(27, x + w + y + node("CausalConvWithState", {"x", "w"}, {"y"}, attribute("activation", "relu"))), Code::unsupported, {"activation 'relu'"});
}

TEST(Opsets, Pictures) {
  const std::string file = input("x", {"n"}, onnx::TensorProto::UINT8);
  const auto decoder = [&](const char* format) { return model(20, file + y + node("ImageDecoder", {"x"}, {"y"}, attribute("pixel_format", format))); };
  if (!has_image_decoder()) return expect_error(decoder("RGB"), Code::unsupported, {"(ImageDecoder)", "INLAY_IMAGE_DECODER=OFF"});
  EXPECT_EQ(text(import(decoder("RGB"))), "input x u8[n]\ny = ImageDecoder (x)\noutput y\n");
  EXPECT_EQ(text(import(decoder("Grayscale"))), "input x u8[n]\ny = ImageDecoder order=grey (x)\noutput y\n");
  expect_error(decoder("RGBA"), Code::unsupported, {"pixel_format 'RGBA'"});
  // A picture in the model itself stays one until it runs.
  EXPECT_EQ(text(import(model(20, "initializer { name: 'p' data_type: 2 dims: 3 int32_data: [80, 53, 32] } " + y + node("ImageDecoder", {"p"}, {"y"}, attribute("pixel_format", "BGR"))))),
            "const p u8[3] {80,53,32}\ny = ImageDecoder order=bgr (p)\noutput y\n");
}

TEST(Opsets, ANewerOneIsRefused) {
  expect_error(model(29, x23 + y + node("Relu", {"x"}, {"y"})), Code::unsupported, {"opset 29", "up to 28"});
}
}  // namespace
}  // namespace converter::test
