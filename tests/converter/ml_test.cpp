// ai.onnx.ml and ONNX Runtime's ops. Expected numbers are ONNX Runtime's for the same node, where they are not plain.
#include "engine/session.h"
#include "tests/converter/onnx_text.h"
#include "tests/engine/evaluate.h"

namespace converter::test {
namespace {
const std::string ml = "domain: 'ai.onnx.ml' ", microsoft = "domain: 'com.microsoft' ";
const std::string opsets = "opset_import { domain: 'ai.onnx.ml' version: 5 } opset_import { domain: 'com.microsoft' version: 1 }";

std::string reals(const std::string& name, const std::vector<double>& values) {
  std::string text = cat("attribute { name: '", name, "' type: FLOATS ");
  for (double v : values) text += cat("floats: ", v, ' ');
  return text + "} ";
}
std::string words(const std::string& name, const std::vector<std::string>& values) {
  std::string text = cat("attribute { name: '", name, "' type: STRINGS ");
  for (const std::string& v : values) text += cat("strings: '", v, "' ");
  return text + "} ";
}
// An attribute that is a tensor, of floats (1) or bytes (2).
std::string tensor(const std::string& name, int dtype, const std::vector<double>& values) {
  std::string text = cat("attribute { name: '", name, "' type: TENSOR t { data_type: ", dtype, " dims: ", values.size(), ' ');
  for (double v : values) text += dtype == 1 ? cat("float_data: ", std::isnan(v) ? "nan" : cat(v), ' ') : cat("int32_data: ", int(v), ' ');
  return text + "} } ";
}

// Outputs of a model of one node, whose inputs x0, x1, … are f32.
struct Given {
  Shape shape;
  std::vector<double> values;
  DType dtype = DType::f32;
};
std::vector<Object> results(const std::string& op, const std::string& attributes, const std::vector<Given>& given, int outputs = 1,
                            const std::string& domain = ml) {
  std::vector<std::string> names, out;
  std::string graph;
  std::vector<Object> objects(given.size());
  std::vector<ConstView> views;
  for (size_t k = 0; k < given.size(); ++k) {
    names.push_back(cat("x", k));
    std::vector<std::string> dims;
    for (int64_t d : given[k].shape) dims.push_back(cat(d));
    graph += input(names.back(), dims, given[k].dtype == DType::f32 ? 1 : given[k].dtype == DType::i64 ? 7 : 6);
    const View v = objects[k].set_tensor(given[k].dtype, given[k].shape);
    for (size_t i = 0; i < given[k].values.size(); ++i) {
      if (given[k].dtype == DType::f32) store(v, int64_t(i), given[k].values[i]);
      else store(v, int64_t(i), Int(given[k].values[i]));
    }
    views.push_back(std::as_const(objects[k]).view());
  }
  for (int k = 0; k < outputs; ++k) out.push_back(cat("y", k)), graph += output(out.back());
  return engine::test::evaluate(import(model(18, graph + node(op, names, out, domain + attributes), opsets)), views);
}
std::vector<double> numbers(const Object& x) {
  std::vector<double> all;
  for (int64_t i = 0; i < elements(x.shape); ++i) all.push_back(load<double>(x.view(), i));
  return all;
}
void expect_near(const Object& got, const std::vector<double>& want, double by = 2e-6) {
  const auto all = numbers(got);
  ASSERT_EQ(all.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(all[i], want[i], by) << "at " << i;
}
const Given three{{3, 1}, {-2, 0.3, 1.5}};

TEST(Ml, LinearClassifierOfOneScore) {
  const auto classify = [&](const char* post) {
    return results("LinearClassifier", reals("coefficients", {1}) + reals("intercepts", {0}) + int_list("classlabels_ints", {5, 7}) + attribute("post_transform", post), {three}, 2);
  };
  const auto plain = classify("NONE");
  EXPECT_EQ(numbers(plain[0]), (std::vector<double>{5, 7, 7}));
  expect_near(plain[1], {3, -2, 0.7, 0.3, -0.5, 1.5});
  expect_near(classify("LOGISTIC")[1], {0.880797, 0.11920297, 0.4255575, 0.5744425, 0.18242556, 0.81757444});
}

// x <= 0 ? a : b
std::string stump(const std::vector<int64_t>& classes, double a, double b, const char* post, const std::vector<double>& base = {}) {
  return int_list("nodes_treeids", {0, 0, 0}) + int_list("nodes_nodeids", {0, 1, 2}) + int_list("nodes_featureids", {0, 0, 0}) +
         words("nodes_modes", {"BRANCH_LEQ", "LEAF", "LEAF"}) + reals("nodes_values", {0, 0, 0}) + int_list("nodes_truenodeids", {1, 0, 0}) +
         int_list("nodes_falsenodeids", {2, 0, 0}) + int_list("class_treeids", {0, 0}) + int_list("class_nodeids", {1, 2}) + int_list("class_ids", classes) +
         reals("class_weights", {a, b}) + int_list("classlabels_int64s", {5, 7}) + attribute("post_transform", post) + (base.empty() ? "" : reals("base_values", base));
}
TEST(Ml, TreesOfTwoClassesWithOneScore) {
  const auto classify = [&](const std::string& attributes) { return results("TreeEnsembleClassifier", attributes, {three}, 2); };
  auto y = classify(stump({0, 0}, -1, 2, "NONE"));
  EXPECT_EQ(numbers(y[0]), (std::vector<double>{5, 7, 7}));
  expect_near(y[1], {1, -1, -2, 2, -2, 2});
  expect_near(classify(stump({0, 0}, 0.3, 0.7, "NONE"))[1], {0.7, 0.3, 0.3, 0.7, 0.3, 0.7});
  y = classify(stump({0, 0}, 0.3, 0.7, "NONE", {0.25}));
  EXPECT_EQ(numbers(y[0]), (std::vector<double>{7, 7, 7}));
  expect_near(y[1], {0.45, 0.55, 0.05, 0.95, 0.05, 0.95});
  expect_near(classify(stump({0, 0}, -1, 2, "LOGISTIC", {0.25}))[1], {0.6791787, 0.3208213, 0.09534949, 0.9046505, 0.09534949, 0.9046505});
  expect_near(classify(stump({1, 1}, -1, 2, "SOFTMAX"))[1], {0.7310586, 0.26894143, 0.11920292, 0.880797, 0.11920292, 0.880797});
  expect_near(classify(stump({1, 1}, 0.3, 0.7, "NONE"))[1], {0, 0.3, 0, 0.7, 0, 0.7});
  y = classify(stump({0, 1}, 3, 4, "SOFTMAX_ZERO"));
  EXPECT_EQ(numbers(y[0]), (std::vector<double>{5, 7, 7}));
  expect_near(y[1], {1, 0, 0, 1, 0, 1});
}
TEST(Ml, TreesOfTheNewSpelling) {
  // x in {1, 2} ? 10 : (x >= 5 ? 20 : 30), and x not in {} as a second tree.
  const std::string trees = int_list("nodes_featureids", {0, 0, 0}) + tensor("nodes_modes", 2, {6, 2, 6}) + tensor("nodes_splits", 1, {0, 5, 0}) +
                            int_list("nodes_truenodeids", {0, 1, 0}) + int_list("nodes_trueleafs", {1, 1, 1}) + int_list("nodes_falsenodeids", {1, 2, 1}) +
                            int_list("nodes_falseleafs", {0, 1, 1}) + tensor("membership_values", 1, {1, 2, NAN, NAN}) + tensor("leaf_weights", 1, {10, 20, 30}) +
                            int_list("leaf_targetids", {0, 0, 0}) + int_list("tree_roots", {0, 2}) + attribute("n_targets", 1);
  expect_near(results("TreeEnsemble", trees, {{{4, 1}, {2, 1, 5, 4}}})[0], {30, 30, 40, 50});
  expect_near(results("TreeEnsemble", trees + attribute("aggregate_function", 0), {{{2, 1}, {2, NAN}}})[0], {15, 25});
}
// What LightGBM's categorical splits become: a test for each member of the set, all of which lead to one node.
TEST(Ml, TreesWhoseNodesShareOne) {
  const std::string tree = int_list("nodes_treeids", {0, 0, 0, 0, 0, 0}) + int_list("nodes_nodeids", {0, 1, 2, 3, 4, 5}) + int_list("nodes_featureids", {0, 1, 0, 0, 0, 0}) +
                           words("nodes_modes", {"BRANCH_EQ", "BRANCH_LEQ", "BRANCH_EQ", "LEAF", "LEAF", "LEAF"}) + reals("nodes_values", {1, 0.5, 4, 0, 0, 0}) +
                           int_list("nodes_truenodeids", {1, 3, 1, 0, 0, 0}) + int_list("nodes_falsenodeids", {2, 4, 5, 0, 0, 0}) + int_list("target_treeids", {0, 0, 0}) +
                           int_list("target_nodeids", {3, 4, 5}) + int_list("target_ids", {0, 0, 0}) + reals("target_weights", {10, 20, 30}) + attribute("n_targets", 1);
  EXPECT_EQ(numbers(results("TreeEnsembleRegressor", tree, {{{5, 2}, {1, 0, 1, 1, 4, 0, 4, 1, 2, 0}}})[0]), (std::vector<double>{10, 20, 10, 20, 30}));
}

TEST(Ml, TreesThatAreNone) {
  const auto refused = [&](std::string attributes, const std::string& what, const std::string& with, const std::string& words) {
    attributes.replace(attributes.find(what), what.size(), with);
    expect_error(model(18, input("x", {"2", "1"}) + output("y") + node("TreeEnsembleClassifier", {"x"}, {"y"}, ml + attributes), opsets), Code::invalid_model,
                 {words, "TreeEnsembleClassifier"});
  };
  const std::string good = stump({0, 0}, 1, 2, "NONE");
  refused(good, int_list("nodes_truenodeids", {1, 0, 0}), int_list("nodes_truenodeids", {9, 0, 0}), "no node 9 in tree 0");
  refused(good, int_list("nodes_nodeids", {0, 1, 2}), int_list("nodes_nodeids", {0, 1, 1}), "there twice");
  refused(good, int_list("nodes_featureids", {0, 0, 0}), int_list("nodes_featureids", {3, 0, 0}), "feature 3 of 1");
  refused(good, int_list("class_ids", {0, 0}), int_list("class_ids", {0, 4}), "target 4 of 2");
  refused(good, int_list("class_nodeids", {1, 2}), int_list("class_nodeids", {1}), "class_");
  refused(good, reals("nodes_values", {0, 0, 0}), reals("nodes_values", {0}), "nodes_values has 1");
  const std::string loop = int_list("nodes_featureids", {0}) + tensor("nodes_modes", 2, {0}) + tensor("nodes_splits", 1, {0}) + int_list("nodes_truenodeids", {0}) +
                           int_list("nodes_trueleafs", {0}) + int_list("nodes_falsenodeids", {0}) + int_list("nodes_falseleafs", {1}) + tensor("leaf_weights", 1, {1}) +
                           int_list("leaf_targetids", {0}) + int_list("tree_roots", {0});
  expect_error(model(18, input("x", {"2", "1"}) + output("y") + node("TreeEnsemble", {"x"}, {"y"}, ml + loop), opsets), Code::invalid_model, {"node 0 leads to itself"});
}

TEST(Ml, SupportVectors) {
  const std::string svm = attribute("kernel_type", "RBF") + reals("kernel_params", {0.5, 0, 3}) + reals("support_vectors", {0, 1, 1, 0, 2, 2}) + reals("rho", {0.25});
  const Given x{{2, 2}, {0, 1, 1, 1}};
  expect_near(results("SVMRegressor", svm + attribute("n_supports", 3) + reals("coefficients", {1, -2, 0.5}), {x})[0],
              {1 - 2 * std::exp(-1.0) + 0.5 * std::exp(-2.5) + 0.25, std::exp(-0.5) * -1 + 0.5 * std::exp(-1.0) + 0.25});
  const auto y = results("SVMClassifier", svm + int_list("vectors_per_class", {1, 2}) + reals("coefficients", {1, -0.5, -0.5}) + int_list("classlabels_ints", {3, 4}), {x}, 2);
  const double a = 1 - 0.5 * std::exp(-1.0) - 0.5 * std::exp(-2.5) + 0.25;
  EXPECT_EQ(numbers(y[0])[0], 3);
  EXPECT_NEAR(numbers(y[1])[1], a, 2e-6);
  EXPECT_NEAR(numbers(y[1])[0], -a, 2e-6);
}

TEST(Ml, Features) {
  const Given x{{2, 3}, {1, -2, 0, 0, 0, 0}};
  expect_near(results("Normalizer", attribute("norm", "L1"), {x})[0], {1.0 / 3, -2.0 / 3, 0, 0, 0, 0});
  expect_near(results("Normalizer", attribute("norm", "L2"), {x})[0], {0.4472136, -0.8944272, 0, 0, 0, 0});
  expect_near(results("Normalizer", attribute("norm", "MAX"), {x})[0], {1, -2, 0, 0, 0, 0});
  expect_near(results("Scaler", reals("offset", {1, 0, -1}) + reals("scale", {2}), {x})[0], {0, -4, 2, -2, 0, 2});
  expect_near(results("Binarizer", attribute("threshold", 0.5), {x})[0], {1, 0, 0, 0, 0, 0});
  expect_near(results("Binarizer", attribute("threshold", -0.5), {{{3}, {-1, 0, 1}, DType::i64}})[0], {0, 1, 1});
  expect_near(results("Imputer", reals("imputed_value_floats", {7, 8, 9}) + attribute("replaced_value_float", 0.0), {x})[0], {1, -2, 9, 7, 8, 9});
  expect_near(results("Imputer", int_list("imputed_value_int64s", {4}) + attribute("replaced_value_int64", 1), {{{2}, {1, 2}, DType::i64}})[0], {4, 2});
  expect_near(results("FeatureVectorizer", int_list("inputdimensions", {1, 3}), {x, {{2, 2}, {5, 6, 7, 8}, DType::i64}})[0], {1, 5, 6, 0, 0, 7, 8, 0});
  expect_near(results("ArrayFeatureExtractor", "", {{{3}, {4, 5, 6}}, {{2}, {2, 0}, DType::i64}})[0], {6, 4});
  expect_near(results("OneHotEncoder", int_list("cats_int64s", {4, 2}), {{{3}, {2, 9, 4}}})[0], {0, 1, 0, 0, 1, 0});
  EXPECT_THROW(results("OneHotEncoder", int_list("cats_int64s", {4, 2}) + attribute("zeros", 0), {{{1}, {9}}}), Error);
  const auto words_of = results("LabelEncoder", int_list("keys_int64s", {1, 2}) + words("values_strings", {"a", "b"}) + attribute("default_string", "?"), {{{3}, {2, 1, 5}, DType::i64}});
  EXPECT_EQ(words_of[0].strings, (std::vector<std::string>{"b", "a", "?"}));
}
TEST(Ml, MapsThereAndBack) {
  const Graph g = import(model(18, input("x", {"2"}) + output("m") + node("ZipMap", {"x"}, {"m"}, ml + int_list("classlabels_int64s", {3, 0})), opsets));
  EXPECT_EQ(to_text(g[g.outputs[0].value].type), "seq(map(i64,f32))");
  const std::string map = "input { name: 'm' type { map_type { key_type: 7 value_type { tensor_type { elem_type: 1 } } } } } ";
  const auto taken = [&](const std::string& op, const std::string& attributes) {
    const Graph graph = import(model(18, map + output("y") + node(op, {"m"}, {"y"}, ml + attributes), opsets));
    Object given;
    given.set_empty(ValueKind::map, DType::f32);
    given.items.resize(2);
    const View keys = given.items[0].set_tensor(DType::i64, Shape{2}), values = given.items[1].set_tensor(DType::f32, Shape{2});
    store(keys, 0, Int(3)), store(keys, 1, Int(0)), store(values, 0, 1.5), store(values, 1, 2.5);
    Session session(std::make_shared<const Model>(graph), {});
    session.set_input(0, std::as_const(given).view());
    session.run();
    const ConstView y = session.output(0);
    std::vector<double> all;
    for (int64_t i = 0; i < y.elements(); ++i) all.push_back(load<double>(y, i));
    return all;
  };
  EXPECT_EQ(taken("DictVectorizer", int_list("int64_vocabulary", {0, 1, 3})), (std::vector<double>{2.5, 0, 1.5}));
  EXPECT_EQ(taken("CastMap", attribute("cast_to", "TO_FLOAT")), (std::vector<double>{2.5, 1.5}));
  EXPECT_EQ(taken("CastMap", attribute("cast_to", "TO_INT64") + attribute("map_form", "SPARSE") + attribute("max_map", 5)), (std::vector<double>{2, 0, 0, 1, 0}));
}

// --- ONNX Runtime's --------------------------------------------------------------------------------------------------

TEST(Contrib, QuantisedSums) {
  // A step is 1: sums of integers are what they are.
  const std::string constants = "initializer { name: 's' data_type: 1 float_data: 1 } initializer { name: 'z' data_type: 2 int32_data: 2 } ";
  const Graph g = import(model(18, input("x", {"1", "2"}, 2) + output("y") + constants + "initializer { name: 'w' data_type: 3 dims: 2 dims: 1 int32_data: [3, -4] } initializer { name: 'wz' data_type: 3 int32_data: 1 } " +
                                       node("QLinearMatMul", {"x", "s", "z", "w", "s", "wz", "s", "z"}, {"y"}), opsets));
  Object x;
  const View v = x.set_tensor(DType::u8, Shape{1, 2});
  store(v, 0, Int(200)), store(v, 1, Int(42));
  const ConstView in[] = {std::as_const(x).view()};
  EXPECT_EQ(numbers(engine::test::evaluate(g, in)[0]), std::vector<double>{198});  // 198 * 2 - 40 * 5, and the zero point
}
// ONNX Runtime adds an odd zero point before it rounds: halves become the even integer of the result.
TEST(Contrib, HalvesOfQuantisedResults) {
  const auto number = [](const std::string& name, int dtype, double v) {
    return cat("initializer { name: '", name, "' data_type: ", dtype, dtype == 1 ? " float_data: " : " int32_data: ", v, " } ");
  };
  const std::string constants = number("one", 1, 1) + number("two", 1, 2) + number("half", 1, 0.5) + number("z", 2, 0) + number("z1", 2, 1) + number("b1", 2, 1);
  const auto result = [&](const std::vector<std::string>& dims, const std::string& node) {
    const Graph g = import(model(18, input("x", dims, 2) + output("y") + constants + node, opsets));
    Object x;
    const View v = x.set_tensor(DType::u8, dims.size() == 2 ? Shape{1, 2} : Shape{1, 1, 1, 2});
    store(v, 0, Int(1)), store(v, 1, Int(3));
    const ConstView in[] = {std::as_const(x).view()};
    return numbers(engine::test::evaluate(g, in)[0]);
  };
  EXPECT_EQ(result({"1", "2"}, node("QLinearAdd", {"x", "one", "z", "z", "one", "z", "two", "z1"}, {"y"}, microsoft)), (std::vector<double>{2, 2}));  // 0.5 + 1, 1.5 + 1
  EXPECT_EQ(result({"1", "2"}, node("QLinearAdd", {"x", "one", "z", "z", "one", "z", "two", "z"}, {"y"}, microsoft)), (std::vector<double>{0, 2}));
  EXPECT_EQ(result({"1", "2"}, node("QLinearMul", {"x", "half", "z", "b1", "one", "z", "one", "z1"}, {"y"}, microsoft)), (std::vector<double>{2, 2}));
  EXPECT_EQ(result({"1", "1", "1", "2"}, node("QLinearAveragePool", {"x", "half", "z", "two", "z1"}, {"y"}, microsoft + int_list("kernel_shape", {1, 2}))), (std::vector<double>{2}));  // 1 / 2 + 1
}
TEST(Contrib, FourBits) {
  // Two rows of 32 numbers of 4 bits in blocks of 16: 1, 2, … in the lower and 0 in the upper half of each byte.
  std::string blocks = "initializer { name: 'b' data_type: 2 dims: 2 dims: 2 dims: 8 int32_data: [";
  for (int i = 0; i < 32; ++i) blocks += cat(i ? ", " : "", i % 8 + 1);
  const Graph g = import(model(18, input("x", {"1", "32"}) + output("y") + blocks + "] } " + floats("s", {4}, {1, 1, 2, 0.5}) +
                                       node("MatMulNBits", {"x", "b", "s"}, {"y"}, microsoft + attribute("K", 32) + attribute("N", 2) + attribute("bits", 4) + attribute("block_size", 16)), opsets));
  Object x;
  const View v = x.set_tensor(DType::f32, Shape{1, 32});
  for (int i = 0; i < 32; ++i) store(v, i, i % 2 == 0 ? 1.0 : 0.0);  // the lower halves: 1 … 8, less the middle, 8
  const ConstView in[] = {std::as_const(x).view()};
  EXPECT_EQ(numbers(engine::test::evaluate(g, in)[0]), (std::vector<double>{-56, -70}));
}
TEST(Contrib, GreedySearchTakesTheLikeliest) {
  // A decoder whose likeliest next token is the last one and 1 more; 5 ends.
  const std::string past = "type { tensor_type { elem_type: 1 shape { dim { dim_value: 2 } dim { } dim { dim_value: 1 } dim { } dim { dim_value: 1 } } } }";
  const auto int32 = [](const std::string& name) { return input(name, {"?", "?"}, 6); };
  const std::string decoder = int32("i") + int32("p") + int32("m") + "input { name: 'past' " + past + " } " + ints("one", {1}) + ints("depth", {7}) + floats("offon", {2}, {0, 1}) +
                              node("Cast", {"i"}, {"c"}, attribute("to", 7)) + node("Add", {"c", "one"}, {"next"}) + node("OneHot", {"next", "depth", "offon"}, {"logits"}) +
                              node("Identity", {"past"}, {"present"}) + output("logits") + output("present");
  const std::string inputs = input("x", {"2", "2"}, 6) + "initializer { name: 'most' data_type: 6 dims: 1 int32_data: 6 } ";
  const auto made = [&](const std::string& op, const std::string& rest, const std::vector<std::string>& in) {
    const Graph g = import(model(18, inputs + rest + output("y") + node(op, in, {"y"}, microsoft + body("decoder", decoder) + attribute("eos_token_id", 5) + attribute("pad_token_id", 0)), opsets));
    Object x;
    const View v = x.set_tensor(DType::i32, Shape{2, 2});
    for (int i = 0; i < 4; ++i) store(v, i, Int(i == 3 ? 3 : 1));
    const ConstView views[] = {std::as_const(x).view()};
    return numbers(engine::test::evaluate(g, views)[0]);
  };
  EXPECT_EQ(made("GreedySearch", "", {"x", "most"}), (std::vector<double>{1, 1, 2, 3, 4, 5, 1, 3, 4, 5, 0, 0}));
  const auto beams = made("BeamSearch", "initializer { name: 'k' data_type: 6 dims: 1 int32_data: 2 } initializer { name: 'r' data_type: 6 dims: 1 int32_data: 1 } ", {"x", "most", "", "k", "r"});
  EXPECT_EQ(beams, (std::vector<double>{1, 1, 2, 3, 4, 0, 1, 3, 4, 0, 0, 0}));  // what ends has fewer steps to pay for
}
TEST(Contrib, AttentionOfOneKey) {  // the value of the only key, whatever the query is
  const auto y = results("MultiHeadAttention", attribute("num_heads", 2), {{{1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}}, {{1, 1, 4}, {1, 0, 0, 1}}, {{1, 1, 4}, {9, 8, 7, 6}}}, 1, microsoft);
  expect_near(y[0], {9, 8, 7, 6, 9, 8, 7, 6});
  expect_error(model(18, x23 + output("y") + node("Attention", {"x", "x"}, {"y"}, microsoft + attribute("num_heads", 0)), opsets), Code::invalid_model, {"num_heads is 0"});
}
TEST(Contrib, AttentionOfTooFewDims) {
  const std::string x = input("x", {"2", "4"}), scalar = "initializer { name: 's' data_type: 1 float_data: 1 } ", table = floats("t", {2, 2}, {1, 1, 1, 1}) + ints("i", {0});
  const auto refused = [&](const std::string& nodes, const std::string& why) { expect_error(model(23, x + output("y") + nodes, opsets), Code::invalid_model, {"'y'", why}); };
  refused(table + node("RotaryEmbedding", {"x", "t", "t"}, {"y"}, attribute("rotary_embedding_dim", 2)), "f32[2,4] where rank 3 or 4");
  refused(table + node("RotaryEmbedding", {"x", "i", "t", "t"}, {"y"}, microsoft), "f32[2,4] where rank 3 or 4");
  refused(scalar + node("MultiHeadAttention", {"x", "x", "x", "s"}, {"y"}, microsoft + attribute("num_heads", 2)), "f32[] where rank 1");
}
}  // namespace
}  // namespace converter::test
