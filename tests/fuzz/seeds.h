// Small ONNX models, one per part of the importer and the engine.
#pragma once
#include "tests/converter/onnx_text.h"

namespace fuzz {
inline std::vector<std::pair<std::string, onnx::ModelProto>> seeds() {
  using namespace converter::test;
  const std::string i64_scalar = "type { tensor_type { elem_type: 7 shape { } } }", truth = "type { tensor_type { elem_type: 9 shape { } } }",
                    row = "type { tensor_type { elem_type: 1 shape { dim { dim_value: 4 } } } }";
  const auto input_of = [](const std::string& name, const std::string& type) { return "input { name: '" + name + "' " + type + " } "; };
  const auto output_of = [](const std::string& name, const std::string& type) { return "output { name: '" + name + "' " + type + " } "; };
  const auto iota = [](size_t n) {
    std::vector<double> all;
    for (size_t i = 0; i < n; ++i) all.push_back(double(i % 13) / 6 - 1);
    return all;
  };
  std::vector<std::pair<std::string, onnx::ModelProto>> all;
  const auto add = [&](const char* name, int opset, const std::string& graph, const std::string& rest = {}) { all.emplace_back(name, model(opset, graph, rest)); };
  add("convnet", 17,
      input("x", {"N", "3", "12", "12"}) + floats("w", {8, 3, 3, 3}, iota(216)) + floats("b", {8}, iota(8)) + floats("one", {8}, std::vector<double>(8, 1)) +
          floats("d", {8, 1, 3, 3}, iota(72)) + floats("f", {8, 5}, iota(40)) +
          node("Conv", {"x", "w", "b"}, {"c"}, int_list("pads", {1, 1, 1, 1}) + int_list("strides", {2, 2})) + node("BatchNormalization", {"c", "one", "b", "b", "one"}, {"n"}) +
          node("Relu", {"n"}, {"r"}) + node("Conv", {"r", "d"}, {"e"}, attribute("group", 8) + attribute("auto_pad", "SAME_UPPER")) + node("Add", {"e", "r"}, {"s"}) +
          node("MaxPool", {"s"}, {"p"}, int_list("kernel_shape", {2, 2})) + node("GlobalAveragePool", {"p"}, {"g"}) + node("Flatten", {"g"}, {"l"}) +
          node("Gemm", {"l", "f"}, {"y"}) + output("y"));
  add("norm_after_norm", 17,
      input("x", {"1", "2", "4", "4"}) + floats("w", {2, 2, 1, 1}, iota(4)) + floats("c", {2}, {1, 2}) + node("Conv", {"x", "w"}, {"y"}) +
          node("BatchNormalization", {"y", "c", "c", "c", "c"}, {"z"}) + node("BatchNormalization", {"z", "c", "c", "c", "c"}, {"u"}) + node("BatchNormalization", {"u", "c", "c", "c", "c"}, {"v"}) + output("v"));
  add("shapes", 18,
      input("x", {"batch", "seq", "8"}) + ints("two", {0, 0, 2, 4}) + ints("zero", {0}) + node("Shape", {"x"}, {"s"}) + node("Gather", {"s", "zero"}, {"n"}) +
          node("Reshape", {"x", "two"}, {"h"}, attribute("allowzero", 0)) + node("Transpose", {"h"}, {"t"}, int_list("perm", {0, 2, 1, 3})) +
          node("ConstantOfShape", {"s"}, {"z"}) + node("Add", {"x", "z"}, {"y"}) + node("Expand", {"n", "n"}, {"e"}) + node("Range", {"zs", "ns", "os"}, {"r"}) +
          node("Squeeze", {"zero"}, {"zs"}) + node("Squeeze", {"n"}, {"ns"}) + ints("one", {1}) + node("Squeeze", {"one"}, {"os"}) + output("t") + output("y") + output("e") + output("r"));
  add("loop", 16,
      input_of("trips", i64_scalar) + input_of("go", truth) + input_of("v", row) +
          node("Loop", {"trips", "go", "v"}, {"last", "all"},
               body("body", input_of("i", i64_scalar) + input_of("c", truth) + input_of("a", row) + node("Add", {"a", "v"}, {"b"}) + node("Identity", {"c"}, {"d"}) +
                                node("Identity", {"b"}, {"k"}) + output_of("d", truth) + output_of("b", row) + output_of("k", row))) +
          output("last") + output("all"));
  add("growing_loop", 16,
      input_of("go", truth) + input("v", {"n", "4"}) + ints("many", {5}) + node("Squeeze", {"many"}, {"trips"}) +
          node("Loop", {"trips", "go", "v"}, {"last"},
               body("body", input_of("i", i64_scalar) + input_of("c", truth) + input("a", {"m", "4"}) + node("Concat", {"a", "v"}, {"b"}, attribute("axis", 0)) +
                                node("Identity", {"c"}, {"d"}) + output_of("d", truth) + output("b"))) +
          output("last"));
  add("scan", 16,
      input_of("h", row) + input("x", {"t", "4"}) +
          node("Scan", {"h", "x"}, {"last", "all"},
               body("body", input_of("s", row) + input_of("e", row) + node("Mul", {"s", "e"}, {"p"}) + node("Tanh", {"p"}, {"q"}) + node("Identity", {"q"}, {"o"}) + output_of("q", row) + output_of("o", row)) +
                   attribute("num_scan_inputs", 1)) +
          output("last") + output("all"));
  add("choice", 16,
      input_of("go", truth) + input("x", {"n", "4"}) +
          node("If", {"go"}, {"y"}, body("then_branch", node("Relu", {"x"}, {"a"}) + output("a")) + body("else_branch", node("Neg", {"x"}, {"b"}) + output("b"))) + output("y"));
  add("found_at_run", 18,
      input("x", {"n", "6"}) + input("boxes", {"1", "5", "4"}) + input("scores", {"1", "2", "5"}) + ints("most", {3}) + ints("k", {2}) + node("NonZero", {"x"}, {"at"}) +
          node("Transpose", {"at"}, {"t"}) + node("GatherND", {"x", "t"}, {"picked"}) + node("NonMaxSuppression", {"boxes", "scores", "most"}, {"sel"}) +
          node("TopK", {"x", "k"}, {"v", "i"}) + node("Compress", {"x", "mask"}, {"c"}) + node("Greater", {"x", "x"}, {"wide"}) + node("Reshape", {"wide", "flat"}, {"mask"}) + ints("flat", {-1}) +
          output("picked") + output("sel") + output("v") + output("i") + output("c"));
  add("recurrent", 14,
      input("x", {"5", "2", "3"}) + floats("w", {1, 16, 3}, iota(48)) + floats("r", {1, 16, 4}, iota(64)) + floats("gw", {2, 12, 4}, iota(96)) + floats("gr", {2, 12, 4}, iota(96)) +
          node("LSTM", {"x", "w", "r"}, {"y", "h", "c"}, attribute("hidden_size", 4)) + ints("one", {1}) + node("Squeeze", {"y", "one"}, {"z"}) +
          node("GRU", {"z", "gw", "gr"}, {"g"}, attribute("hidden_size", 4) + attribute("direction", "bidirectional")) + output("g") + output("c"));
  add("quantised", 19,
      input("x", {"2", "8"}) + floats("s", {}, {0.1}) + "initializer { name: 'z' data_type: 2 int32_data: 128 } " + node("QuantizeLinear", {"x", "s", "z"}, {"q"}) +
          node("DequantizeLinear", {"q", "s", "z"}, {"d"}) + node("Cast", {"d"}, {"h"}, attribute("to", 10)) + node("Cast", {"h"}, {"e"}, attribute("to", 17)) +
          node("Cast", {"e"}, {"f"}, attribute("to", 1)) + output("q") + output("f"));
  add("norms", 18,
      input("x", {"2", "6", "4", "4"}) + floats("c", {6}, iota(6)) + floats("l", {4}, iota(4)) + node("InstanceNormalization", {"x", "c", "c"}, {"i"}) +
          node("LayerNormalization", {"i", "l", "l"}, {"n"}, attribute("axis", -1)) + node("Softmax", {"n"}, {"s"}) + node("ReduceMean", {"s"}, {"m"}, attribute("keepdims", 0)) +
          node("ArgMax", {"s"}, {"a"}, attribute("axis", 1)) + floats("sc", {4}, {1, 1, 2, 1.5}) + node("Resize", {"x", "", "sc"}, {"z"}, attribute("mode", "linear")) +
          node("CumSum", {"x", "ax"}, {"k"}) + "initializer { name: 'ax' data_type: 7 int64_data: 1 } " + output("m") + output("a") + output("z") + output("k"));
  add("words", 21,
      "input { name: 'x' type { tensor_type { elem_type: 8 shape { dim { dim_value: 2 } } } } } initializer { name: 'w' data_type: 8 dims: 2 string_data: 'a b' string_data: 'c' } " +
          node("StringConcat", {"x", "w"}, {"y"}) + node("StringSplit", {"y"}, {"p", "n"}) + node("StringNormalizer", {"w"}, {"u"}, attribute("case_change_action", "UPPER")) + output("p") + output("n") + output("u"));
  add("signals", 20,
      input("x", {"2", "12", "1"}) + ints("six", {6}) + ints("three", {3}) + node("DFT", {"x", "six"}, {"d"}, attribute("onesided", 1)) + node("DFT", {"d"}, {"e"}, attribute("onesided", 1) + attribute("inverse", 1)) +
          node("STFT", {"x", "three", "", "six"}, {"s"}) + floats("low", {}, {0}) + floats("high", {}, {4000}) + node("MelWeightMatrix", {"three", "six", "six", "low", "high"}, {"m"}) +
          node("CumSum", {"x", "one"}, {"k"}) + ints("one", {1}) + output("e") + output("s") + output("m") + output("k"));
  add("random", 22,
      input("x", {"N", "4"}) + input_of("t", truth) + node("RandomNormal", {}, {"a"}, int_list("shape", {2, 4})) + node("RandomUniformLike", {"x"}, {"b"}, attribute("seed", 1.0)) + node("Bernoulli", {"b"}, {"c"}) +
          node("Multinomial", {"a"}, {"d"}, attribute("sample_size", 3)) + node("Dropout", {"x", "", "t"}, {"e", "m"}) + output("c") + output("d") + output("e") + output("m"));
  add("distinct", 26,
      input("x", {"N", "3"}) + input("w", {"2", "4"}, 7) + node("Unique", {"x"}, {"u", "i", "j", "c"}, attribute("axis", 0)) + node("Gather", {"u", "j"}, {"v"}) + node("BitCast", {"x"}, {"b"}, attribute("to", 6)) +
          node("CumProd", {"b", "z"}, {"p"}) + ints("z", {0}) + node("TfIdfVectorizer", {"w"}, {"t"}, attribute("mode", "TF") + attribute("min_gram_length", 1) + attribute("max_gram_length", 2) + attribute("max_skip_count", 1) +
                                                                     int_list("ngram_counts", {0, 1}) + int_list("ngram_indexes", {1, 0}) + int_list("pool_int64s", {7, 7, 8})) +
          node("MatMul", {"xt", "x"}, {"sq"}) + node("Transpose", {"x"}, {"xt"}) + node("Det", {"sq"}, {"det"}) + output("v") + output("p") + output("t") + output("det") + output("c"));
  add("sequences", 17,
      input("x", {"4", "3"}) + ints("one", {1}) + node("SplitToSequence", {"x"}, {"s"}, attribute("axis", 0)) + node("Squeeze", {"one"}, {"k"}) + node("SequenceAt", {"s", "k"}, {"a"}) +
          node("SequenceInsert", {"s", "a"}, {"t"}) + node("ConcatFromSequence", {"t"}, {"y"}, attribute("axis", 0)) + node("SequenceLength", {"t"}, {"n"}) + node("Optional", {"x"}, {"o"}) +
          node("OptionalHasElement", {"o"}, {"h"}) + node("OptionalGetElement", {"o"}, {"g"}) + output("y") + output("n") + output("h") + output("g"));
  add("function", 17, input("x", {"4", "4"}) + node("Twice", {"x"}, {"y"}, "domain: 'f' " + attribute("by", 1)) + output("y"),
      "opset_import { domain: 'f' version: 1 } functions { name: 'Twice' domain: 'f' input: 'a' output: 'b' attribute: 'by' opset_import { version: 17 } node { op_type: 'Add' input: 'a' input: 'a' output: 'c' } "
      "node { op_type: 'Softmax' input: 'c' output: 'b' attribute { name: 'axis' type: INT ref_attr_name: 'by' } } } ");
  add("pieces", 18,
      input("x", {"2", "9", "4"}) + ints("sizes", {4, 5}) + node("Split", {"x", "sizes"}, {"a", "b"}, attribute("axis", 1)) + ints("from", {1}) + ints("to", {-1}) + ints("one", {1}) +
          node("Slice", {"b", "from", "to", "one"}, {"c"}) + node("Concat", {"a", "c"}, {"d"}, attribute("axis", 1)) + ints("pads", {0, 1, 0, 0, 0, 2}) + node("Pad", {"d", "pads"}, {"e"}, attribute("mode", "reflect")) +
          ints("reps", {1, 2, 1}) + node("Tile", {"e", "reps"}, {"f"}) + ints("pick", {0, 2}) + node("Gather", {"f", "pick"}, {"g"}, attribute("axis", 2)) + node("Where", {"w", "g", "g"}, {"h"}) + node("Less", {"g", "g"}, {"w"}) +
          node("Einsum", {"x", "x"}, {"m"}, attribute("equation", "bij,bkj->bik")) + node("Trilu", {"m"}, {"tri"}) + output("h") + output("tri"));
  add("regions", 22,
      input("x", {"1", "2", "6", "6"}) + input("r", {"2", "4"}) + input("q", {"2", "5"}) + input("o", {"1", "18", "4", "4"}) + ints("i", {0, 0}) + floats("w", {3, 2, 3, 3}, iota(54)) +
          node("RoiAlign", {"x", "r", "i"}, {"a"}, attribute("output_height", 2) + attribute("output_width", 3)) + node("MaxRoiPool", {"x", "q"}, {"b"}, int_list("pooled_shape", {2, 2})) +
          node("DeformConv", {"x", "w", "o"}, {"c"}) + node("MaxPool", {"x"}, {"p", "at"}, int_list("kernel_shape", {2, 2}) + int_list("strides", {2, 2})) +
          node("MaxUnpool", {"p", "at"}, {"d"}, int_list("kernel_shape", {2, 2}) + int_list("strides", {2, 2})) + output("a") + output("b") + output("c") + output("d"));
  add("grids", 22,
      input("t", {"1", "2", "3"}) + input("x", {"1", "8", "6"}) + ints("s", {1, 2, 3, 4}) + ints("image", {3, 4}) + ints("kernel", {2, 2}) + node("AffineGrid", {"t", "s"}, {"g"}) +
          node("Col2Im", {"x", "image", "kernel"}, {"y"}) + node("GridSample", {"y", "g"}, {"z"}) + output("z"));
  add("linear_attention", 27,
      input("q", {"1", "2", "8"}) + input("k", {"1", "2", "4"}) + input("w", {"2", "1", "3"}) + input("s", {"1", "2", "2", "2"}) + input("e", {"1", "2", "2"}) +
          node("LinearAttention", {"q", "k", "k", "s", "e", "e"}, {"y", "state"}, attribute("q_num_heads", 4) + attribute("kv_num_heads", 2)) +
          node("CausalConvWithState", {"k", "w", "", "e"}, {"c", "past"}, attribute("activation", "silu")) + output("y") + output("state") + output("c") + output("past"));
  add("picture", 20,
      "input { name: 'file' type { tensor_type { elem_type: 2 shape { dim { dim_param: 'n' } } } } } initializer { name: 'p' data_type: 2 dims: 14 int32_data: [80, 53, 32, 50, 32, 49, 32, 50, 53, 53, 10, 65, 66, 67] } " +
          node("ImageDecoder", {"p"}, {"y"}) + node("ImageDecoder", {"file"}, {"z"}, attribute("pixel_format", "Grayscale")) + output("y") + output("z"));
  const auto texts = [](const std::string& name, const std::vector<std::string>& values) {
    std::string text = "attribute { name: '" + name + "' type: STRINGS ";
    for (const std::string& v : values) text += "strings: '" + v + "' ";
    return text + "} ";
  };
  const auto reals = [](const std::string& name, const std::vector<double>& values) {
    std::string text = "attribute { name: '" + name + "' type: FLOATS ";
    for (double v : values) text += "floats: " + std::to_string(v) + ' ';
    return text + "} ";
  };
  const std::string ml = "domain: 'ai.onnx.ml' ", microsoft = "domain: 'com.microsoft' ",
                    domains = "opset_import { domain: 'ai.onnx.ml' version: 5 } opset_import { domain: 'com.microsoft' version: 1 } opset_import { domain: 'ai.onnx.preview' version: 1 }";
  add("trees", 18,
      input("x", {"N", "3"}) +
          node("TreeEnsembleClassifier", {"x"}, {"label", "scores"},
               ml + int_list("nodes_treeids", {0, 0, 0, 1}) + int_list("nodes_nodeids", {0, 1, 2, 0}) + int_list("nodes_featureids", {1, 0, 0, 0}) +
                   texts("nodes_modes", {"BRANCH_LEQ", "LEAF", "LEAF", "LEAF"}) + reals("nodes_values", {0.5, 0, 0, 0}) + int_list("nodes_truenodeids", {1, 0, 0, 0}) +
                   int_list("nodes_falsenodeids", {2, 0, 0, 0}) + int_list("nodes_missing_value_tracks_true", {1, 0, 0, 0}) + int_list("class_treeids", {0, 0, 1}) + int_list("class_nodeids", {1, 2, 0}) +
                   int_list("class_ids", {0, 1, 2}) + reals("class_weights", {1, 2, 3}) + texts("classlabels_strings", {"a", "b", "c"}) + reals("base_values", {0, 1, 2}) + attribute("post_transform", "SOFTMAX")) +
          node("ZipMap", {"scores"}, {"maps"}, ml + texts("classlabels_strings", {"a", "b", "c"})) + output("label") + output("scores") + output("maps"), domains);
  add("set_trees", 18,
      input("x", {"N", "2"}) +
          node("TreeEnsemble", {"x"}, {"y"},
               ml + int_list("nodes_featureids", {0, 1}) + "attribute { name: 'nodes_modes' type: TENSOR t { data_type: 2 dims: 2 int32_data: [6, 4] } } " +
                   "attribute { name: 'nodes_splits' type: TENSOR t { data_type: 1 dims: 2 float_data: [0, 0.5] } } attribute { name: 'membership_values' type: TENSOR t { data_type: 1 dims: 3 float_data: [1, 2, nan] } } " +
                   int_list("nodes_truenodeids", {0, 1}) + int_list("nodes_trueleafs", {1, 1}) + int_list("nodes_falsenodeids", {1, 2}) + int_list("nodes_falseleafs", {0, 1}) + int_list("leaf_targetids", {0, 1, 0}) +
                   "attribute { name: 'leaf_weights' type: TENSOR t { data_type: 1 dims: 3 float_data: [1, 2, 3] } } " + int_list("tree_roots", {0}) + attribute("n_targets", 2)) +
          output("y"), domains);
  add("classic", 18,
      input("x", {"N", "2"}) + input("i", {"4"}, 7) + "input { name: 'm' type { map_type { key_type: 7 value_type { tensor_type { elem_type: 1 } } } } } " +
          node("SVMClassifier", {"x"}, {"label", "p"},
               ml + attribute("kernel_type", "RBF") + reals("kernel_params", {0.5, 0, 3}) + reals("support_vectors", {0, 1, 1, 0, 2, 2}) + int_list("vectors_per_class", {1, 2}) + reals("coefficients", {1, -0.5, -0.5}) +
                   reals("rho", {0.25}) + reals("prob_a", {1}) + reals("prob_b", {0}) + int_list("classlabels_ints", {3, 4})) +
          node("Normalizer", {"p"}, {"n"}, ml + attribute("norm", "L1")) + node("LabelEncoder", {"i"}, {"e"}, ml + int_list("keys_int64s", {1, 2}) + texts("values_strings", {"a", "b"})) +
          node("OneHotEncoder", {"i"}, {"h"}, ml + int_list("cats_int64s", {1, 2})) + node("DictVectorizer", {"m"}, {"d"}, ml + int_list("int64_vocabulary", {1, 2})) +
          node("RegexFullMatch", {"e"}, {"r"}, attribute("pattern", "a+")) + output("label") + output("n") + output("h") + output("d") + output("r"), domains);
  add("transformer", 26,
      input("x", {"1", "3", "4"}) + floats("w", {4, 12}, iota(48)) + floats("b", {12}, iota(12)) + input("q", {"1", "2", "3", "4"}) +
          node("Attention", {"x", "w", "b"}, {"a", "present"}, microsoft + attribute("num_heads", 2) + attribute("unidirectional", 1)) +
          node("MultiHeadAttention", {"a", "x", "x"}, {"c"}, microsoft + attribute("num_heads", 2)) +
          node("FlexAttention", {"q", "q", "q"}, {"f"}, "domain: 'ai.onnx.preview' " + body("score_mod", input("s", {"1", "2", "3", "3"}) + node("Tanh", {"s"}, {"t"}) + output("t"))) +
          "initializer { name: 'bits' data_type: 2 dims: 3 dims: 1 dims: 8 int32_data: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24] } " + floats("scales", {3}, iota(3)) +
          input("k", {"2", "16"}) + node("MatMulNBits", {"k", "bits", "scales"}, {"n"}, microsoft + attribute("K", 16) + attribute("N", 3) + attribute("bits", 4) + attribute("block_size", 16)) +
          output("c") + output("present") + output("f") + output("n"), domains);
  const auto bytes = [](const std::string& name, int dtype, std::vector<int64_t> dims, int64_t first) {
    std::string text = "initializer { name: '" + name + "' data_type: " + std::to_string(dtype) + ' ';
    int64_t n = 1;
    for (int64_t d : dims) n *= d, text += "dims: " + std::to_string(d) + ' ';
    for (int64_t i = 0; i < n; ++i) text += "int32_data: " + std::to_string((first + 37 * i) % 120) + ' ';
    return text + "} ";
  };
  add("quantised_products", 21,
      input("x", {"N", "4", "6", "6"}) + floats("s", {}, {0.05}) + bytes("z", 2, {}, 100) + bytes("w", 3, {4, 4, 3, 3}, 1) + floats("ws", {4}, {0.01, 0.02, 0.03, 0.04}) + bytes("wz", 3, {4}, 0) +
          bytes("b", 6, {4}, 5) + floats("bs", {4}, {0.0005, 0.001, 0.0015, 0.002}) + floats("ys", {}, {0.3}) + node("QuantizeLinear", {"x", "s", "z"}, {"q"}) + node("DequantizeLinear", {"q", "s", "z"}, {"d"}) +
          node("DequantizeLinear", {"w", "ws", "wz"}, {"e"}, attribute("axis", 0)) + node("DequantizeLinear", {"b", "bs"}, {"f"}, attribute("axis", 0)) +
          node("Conv", {"d", "e", "f"}, {"c"}, int_list("pads", {1, 1, 1, 1})) + node("Relu", {"c"}, {"r"}) + bytes("yz", 2, {}, 0) + node("QuantizeLinear", {"r", "ys", "yz"}, {"y"}) +
          node("QLinearConv", {"y", "ys", "yz", "w", "ws", "wz", "s", "z", "b"}, {"k"}) + node("ConvInteger", {"q", "w", "z"}, {"i"}) + bytes("m", 3, {6, 5}, 7) + bytes("mz", 3, {5}, 2) +
          node("MatMulInteger", {"q", "m", "z", "mz"}, {"n"}) + node("QLinearMatMul", {"q", "s", "z", "m", "ys", "yi", "s", "z"}, {"o"}) + bytes("yi", 3, {}, 0) +
          node("QLinearAdd", {"q", "s", "z", "y", "ys", "yz", "s", "z"}, {"a"}, microsoft) + node("QLinearMul", {"a", "s", "z", "y", "ys", "yz", "s", "z"}, {"p"}, microsoft) +
          node("QLinearSoftmax", {"p", "s", "z", "s", "z"}, {"t"}, microsoft + attribute("opset", 13)) + node("QLinearGlobalAveragePool", {"t", "s", "z", "s", "z"}, {"g"}, microsoft) +
          node("DynamicQuantizeMatMul", {"x", "m", "s"}, {"v"}, microsoft) + output("k") + output("i") + output("n") + output("o") + output("g") + output("v"), domains);
  const auto casts = [&](std::initializer_list<int> dtypes) {
    std::string text;
    for (int d : dtypes) {
      const std::string n = "c" + std::to_string(d), at = std::to_string(d);
      text += node("Cast", {"x"}, {n}, attribute("to", d)) + node("Transpose", {n}, {"t" + at}) + node("Concat", {"t" + at, "t" + at}, {"k" + at}, attribute("axis", 1)) +
              node("Gather", {"k" + at, "pick"}, {"g" + at}, attribute("axis", 0)) + node("Slice", {"g" + at, "from", "to"}, {"s" + at}) + node("Pad", {"s" + at, "pads"}, {"p" + at}) +
              node("Tile", {"p" + at, "two"}, {"r" + at}) + node("Reshape", {"r" + at, "flat"}, {"f" + at}) + node("Cast", {"f" + at}, {"y" + at}, attribute("to", 1)) + output("y" + at);
    }
    return text;
  };
  add("small_dtypes", 26,
      input("x", {"3", "n"}) + ints("pick", {1, 0, -1}) + ints("from", {0}) + ints("to", {2}) + ints("pads", {0, 1, 1, 0}) + ints("two", {2, 1}) + ints("flat", {-1}) +
          casts({10, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26}) + floats("scale", {}, {0.25}) + bytes("zi", 22, {}, 3) + bytes("zu", 25, {}, 1) + node("QuantizeLinear", {"x", "scale", "zi"}, {"qi"}) +
          node("DequantizeLinear", {"qi", "scale", "zi"}, {"di"}) + node("QuantizeLinear", {"x", "scale", "zu"}, {"qu"}) + node("DequantizeLinear", {"qu", "scale", "zu"}, {"du"}) + node("BitCast", {"qi"}, {"bi"}, attribute("to", 21)) +
          node("Cast", {"bi"}, {"fi"}, attribute("to", 1)) + node("Add", {"c16", "c16"}, {"ab"}) + node("MatMul", {"ab", "t16"}, {"mb"}) + node("Cast", {"mb"}, {"fb"}, attribute("to", 1)) + output("di") + output("du") + output("fi") + output("fb"));
  add("grouped_queries", 21,
      input("q", {"B", "S", "64"}) + input("past", {"B", "1", "P", "16"}) + "initializer { name: 'len' data_type: 6 dims: 1 int32_data: 4 } initializer { name: 'total' data_type: 6 int32_data: 5 } " + floats("cos", {9, 8}, iota(72)) +
          input("ids", {"B", "S"}, 7) + input("bias", {"1", "2", "S", "5"}) + floats("sink", {2}, {0.5, -1}) + floats("norm", {16}, iota(16)) +
          node("GroupQueryAttention", {"q", "", "", "past", "past", "len", "total", "cos", "cos", "ids", "bias", "sink", "", "", "norm", "norm"}, {"y", "k", "v", "s"},
               microsoft + attribute("num_heads", 2) + attribute("kv_num_heads", 1) + attribute("do_rotary", 1) + attribute("local_window_size", 3) + attribute("softcap", 2.0) + attribute("qk_output", 2)) +
          output("y") + output("k") + output("v") + output("s"), domains);
  const std::string past = "type { tensor_type { elem_type: 1 shape { dim { dim_value: 2 } dim { dim_param: 'b' } dim { dim_value: 1 } dim { dim_param: 'p' } dim { dim_value: 1 } } } }";
  add("beams", 18,
      input("x", {"1", "2"}, 6) + "initializer { name: 'most' data_type: 6 dims: 1 int32_data: 5 } initializer { name: 'two' data_type: 6 dims: 1 int32_data: 2 } " +
          node("BeamSearch", {"x", "most", "", "two", "two"}, {"y", "scores"},
               microsoft + attribute("eos_token_id", 5) + attribute("pad_token_id", 0) +
                   body("decoder", input("i", {"r", "s"}, 6) + input("p", {"r", "s"}, 6) + input("m", {"r", "t"}, 6) + input_of("past", past) + ints("one", {1}) + ints("depth", {7}) + floats("values", {2}, {0, 1}) +
                                       node("Cast", {"i"}, {"c"}, attribute("to", 7)) + node("Add", {"c", "one"}, {"next"}) + node("OneHot", {"next", "depth", "values"}, {"logits"}) +
                                       node("Identity", {"past"}, {"present"}) + output("logits") + output("present"))) +
          output("y") + output("scores"), domains);
  return all;
}
}  // namespace fuzz
