// Weights beside the model: read where they are, and nowhere else.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <unistd.h>
#include "tests/converter/onnx_text.h"

namespace converter::test {
namespace {
namespace fs = std::filesystem;

class ExternalData : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() /
            cat("inlay_external_", ::getpid(), '_', testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(root_ / "model" / "sub");
    std::vector<float> values(2048);
    for (size_t i = 0; i < values.size(); ++i) values[i] = float(i);
    for (const char* path : {"model/weights.bin", "model/sub/weights.bin", "outside.bin"})
      std::ofstream(root_ / path, std::ios::binary)
          .write(reinterpret_cast<const char*>(values.data()), std::streamsize(values.size() * 4));
  }
  void TearDown() override { fs::remove_all(root_); }

  // A model that adds `count` elements of the file to its input.
  Graph load(const std::string& location, int count, const std::string& entries) {
    const std::string weight =
        cat("initializer { name: 'w' data_type: 1 dims: ", count,
            " data_location: EXTERNAL external_data { key: 'location' value: '", location, "' } ", entries, "} ");
    const auto m = model(13, input("x", {"1"}) + output("y") + weight + node("Add", {"x", "w"}, {"y"}));
    const fs::path path = root_ / "model" / "model.onnx";
    std::ofstream(path, std::ios::binary) << m.SerializeAsString();
    return import_onnx(path.string());
  }
  void expect_failure(Code code, const std::string& part, const std::string& location, int count = 2,
                      const std::string& entries = {}) {
    try {
      load(location, count, entries);
      ADD_FAILURE() << location << " was read";
    } catch (const Error& e) {
      EXPECT_EQ(e.code, code) << e.what();
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("tensor 'w'"), std::string::npos) << e.what();
    }
  }
  static std::string entry(const std::string& key, const std::string& value) {
    return cat("external_data { key: '", key, "' value: '", value, "' } ");
  }
  fs::path root_;
};

const Constant& weight(const Graph& graph) {
  for (const Value& v : graph.values)
    if (v.constant) return *v.constant;
  throw std::logic_error("no constant");
}

TEST_F(ExternalData, AreFoundByOffset) {
  const Graph small = load("weights.bin", 2, entry("offset", "40") + entry("length", "8"));
  EXPECT_EQ(weight(small).view().as<float>()[1], 11);
  const Graph large = load("sub/weights.bin", 1500, entry("offset", "64"));
  EXPECT_EQ(weight(large).view().as<float>()[1499], 1515);
  EXPECT_NE(weight(large).mapping, nullptr);  // not copied
}

TEST_F(ExternalData, MayNotLeaveTheFolder) {
  expect_failure(Code::invalid_model, "may not leave", "../outside.bin");
  expect_failure(Code::invalid_model, "may not leave", "sub/../../outside.bin");
  expect_failure(Code::invalid_model, "may not leave", (root_ / "outside.bin").string());
  expect_failure(Code::invalid_model, "may not leave", "");
  fs::create_symlink(root_ / "outside.bin", root_ / "model" / "link.bin");
  expect_failure(Code::invalid_model, "may not leave", "link.bin");
  fs::create_directory_symlink(root_, root_ / "model" / "up");
  expect_failure(Code::invalid_model, "may not leave", "up/outside.bin");
  fs::create_symlink("weights.bin", root_ / "model" / "inside.bin");
  EXPECT_EQ(weight(load("inside.bin", 2, "")).view().as<float>()[1], 1);
}

TEST_F(ExternalData, MustBeThere) {
  expect_failure(Code::io, "missing.bin", "missing.bin");
  expect_failure(Code::invalid_model, "is not a file", "sub");
  expect_failure(Code::invalid_model, "end at byte 8192", "weights.bin", 2, entry("offset", "8188"));
  expect_failure(Code::invalid_model, "end at byte 8192", "weights.bin", 2, entry("offset", "9223372036854775807"));
  expect_failure(Code::invalid_model, "12 bytes", "weights.bin", 2, entry("length", "12"));
  expect_failure(Code::invalid_model, "not a size", "weights.bin", 2, entry("offset", "-4"));
  expect_failure(Code::invalid_model, "not a size", "weights.bin", 2, entry("offset", "four"));
}

TEST_F(ExternalData, NeedAFolder) {
  const auto m = model(13, input("x", {"1"}) + output("y") +
                               "initializer { name: 'w' data_type: 1 dims: 2 data_location: EXTERNAL " +
                               entry("location", "weights.bin") + "} " + node("Add", {"x", "w"}, {"y"}));
  expect_error(m, Code::invalid_argument, {"external data 'weights.bin'"});
}
}  // namespace
}  // namespace converter::test
