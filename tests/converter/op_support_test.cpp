// What `inlay ops` says is found out by trying; here, that the trying is complete and finds what is known.
#include "converter/op_support.h"
#include <algorithm>
#include <gtest/gtest.h>
#include "converter/op_sample.h"

namespace converter {
namespace {
using engine::DType, engine::Error;
using Ranges = std::vector<std::pair<int, int>>;

const OpSupport& op(const std::string& name, const std::string& domain = "ai.onnx") {
  static const std::vector<OpSupport> all = op_support();
  const auto at = std::ranges::find_if(all, [&](const OpSupport& o) { return o.name == name && o.domain == domain; });
  if (at == all.end()) throw std::runtime_error("no op " + name);
  return *at;
}
bool takes(const OpSupport& op, const std::string& parameter, DType dtype) {
  const auto at = std::ranges::find(op.types, parameter, &OpSupport::Types::name);
  return at != op.types.end() && std::ranges::find(at->dtypes, dtype) != at->dtypes.end();
}
bool runs_on(const OpSupport& op, const std::string& start) {
  return std::ranges::any_of(op.kernels, [&](const std::string& k) { return k.starts_with(start); });
}

// An op that the importer knows has a node to try, which converts and runs.
TEST(OpSupport, IsComplete) {
  for (const OpSupport& o : op_support())
    EXPECT_TRUE(o.supported || o.reason.empty() || o.domain == "ai.onnx.preview.training")
        << o.domain << ' ' << o.name << ": " << o.reason;
}

TEST(OpSupport, FindsWhatIsKnown) {
  EXPECT_TRUE(takes(op("Add"), "T", DType::f32) && takes(op("Add"), "T", DType::u64) &&
              takes(op("Add"), "T", DType::bf16));
  EXPECT_FALSE(takes(op("Add"), "T", DType::string) || takes(op("Add"), "T", DType::boolean));
  EXPECT_TRUE(takes(op("Gather"), "Tind", DType::i32) && !takes(op("Gather"), "Tind", DType::i16));
  EXPECT_TRUE(takes(op("Gather"), "T", DType::string));
  EXPECT_TRUE(takes(op("Cast"), "T2", DType::f4e2m1));
  EXPECT_TRUE(takes(op("MatMulInteger"), "T1", DType::i8) && !takes(op("MatMulInteger"), "T1", DType::f32));
  EXPECT_EQ(op("Squeeze").opsets, (Ranges{{1, 28}}));  // an attribute became an input
  EXPECT_EQ(op("Tile").opsets, (Ranges{{1, 28}}));
  EXPECT_EQ(op("SwiGLU").opsets, (Ranges{{28, 28}}));
  EXPECT_TRUE(runs_on(op("Conv"), "conv_") && runs_on(op("MaxPool"), "pool_") && runs_on(op("LSTM"), "rnn_"));
  EXPECT_EQ(op("NonZero").kernels, std::vector<std::string>{"reference"});
  EXPECT_TRUE(op("Reshape").kernels.empty());
  EXPECT_TRUE(runs_on(op("TreeEnsembleRegressor", "ai.onnx.ml"), "tree_"));
  EXPECT_FALSE(op("Adam", "ai.onnx.preview.training").supported);
  EXPECT_NE(op("Adam", "ai.onnx.preview.training").reason.find("Inlay is for inference"), std::string::npos);
}

TEST(OpSupport, SamplesThatCannotBeRead) {
  for (const char* text : {"", "Abs(", "Abs(T", "Abs(T[2", "Abs(T[x])", "Abs(T[2]", "Abs(T[2]) alpha", "Abs(T[2]) a='x",
                           "Abs(T[2]) ->", "Abs(T[2]) b={x|y", "Abs(T[2])?", "Abs(seq(T[2])"})
    EXPECT_THROW(make_model({"", 1, text}, 13), Error) << text;
}
}  // namespace
}  // namespace converter
