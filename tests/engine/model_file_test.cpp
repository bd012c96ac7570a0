// The .inlay file: what is written is read back, and nothing that is damaged gets through, or crashes.
#include "engine/model_file.h"
#include <gtest/gtest.h>
#include <filesystem>
#include <fstream>
#include <random>
#include <unistd.h>
#include "tests/engine/stored_graph.h"

namespace engine {
namespace {
using namespace test;

std::string file_of(const Graph& graph) {
  const std::string path =
      (std::filesystem::temp_directory_path() /
       cat("inlay_file_test_", testing::UnitTest::GetInstance()->random_seed(), "_", getpid(), ".inlay"))
          .string();
  save_model(graph, path);
  std::ifstream in(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  std::filesystem::remove(path);
  return text;
}
Graph load(const std::string& file) {
  auto memory = std::make_shared<Bytes>();
  memory->resize(file.size());
  if (!file.empty()) std::memcpy(memory->data(), file.data(), file.size());
  return load_model({memory->data(), memory->size()}, memory);
}
TEST(ModelFile, KeepsEverything) {
  const Graph graph = sample(), back = load(file_of(graph));
  verify(back);
  EXPECT_EQ(store(back).section, store(graph).section);
  ASSERT_EQ(back.inputs.size(), 3u);
  EXPECT_EQ(to_text(back[back.inputs[1]].type), to_text(graph[graph.inputs[1]].type));
  EXPECT_EQ(back[back.inputs[1]].type.dims[0].upper(), 64);
  EXPECT_EQ(back.states[0].input, 1u);
  EXPECT_EQ(back.outputs[1].name, "present");
  EXPECT_EQ(back[back.outputs[2].value].constant->view().as<std::string>()[0], "one");
  EXPECT_TRUE(same_contents(*back[back.outputs[3].value].constant, *f32_iota({4, 40})));
  EXPECT_EQ(back.nodes.back().bodies.size(), graph.nodes.back().bodies.size());
}

TEST(ModelFile, KeepsConstantsOfEveryType) {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8, DType::i64, DType::u64,
                      DType::boolean, DType::f8e4m3fn, DType::f4e2m1, DType::i4, DType::u4, DType::i2, DType::u2})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{3}, Shape{5, 67}}) {
      std::vector<double> numbers(size_t(elements(shape)));
      for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = double(i % 2);
      const ConstantPtr constant = test::tensor(dtype, shape, numbers);
      Graph graph;
      graph.outputs.push_back({"y", graph.add_constant(constant)});
      const Graph back = load(file_of(graph));
      EXPECT_TRUE(same_contents(*back[back.outputs[0].value].constant, *constant)) << name(dtype) << to_text(shape);
    }
}

TEST(ModelFile, StoresSharedWeightsOnce) {
  Graph graph;
  const ConstantPtr weights = f32_iota({1000});
  const ValueId a = graph.add_constant(weights), b = graph.add_constant(weights);
  graph.outputs = {{"a", a}, {"b", b}};
  EXPECT_LT(file_of(graph).size(), 4096u + 4100);
}

// What runs read as it is stored shares no page with weights that are only packed.
TEST(ModelFile, KeepsSmallConstantsTogether) {
  Graph graph;
  const ValueId large = graph.add_constant(f32_iota({100, 100})), bias = graph.add_constant(f32_iota({100})), other = graph.add_constant(f32_iota({90, 100})),
                second = graph.add_constant(f32_iota({90}));
  graph.outputs = {{"large", large}, {"bias", bias}, {"other", other}, {"second", second}};
  const Graph back = load(file_of(graph));
  const auto at = [&](size_t k) { return back[back.outputs[k].value].constant->data; };
  EXPECT_EQ(at(3) - at(1), 448);  // the next multiple of 64 bytes
  EXPECT_LT(at(3), std::min(at(0), at(2)));
}

TEST(ModelFile, RefusesEveryTruncation) {
  const std::string file = file_of(sample());
  for (size_t n = 0; n < file.size(); ++n) EXPECT_THROW(load(file.substr(0, n)), Error) << n;
}

TEST(ModelFile, NoticesEveryFlippedBitOfHeaderAndGraph) {
  const Graph graph = sample();
  const std::string file = file_of(graph), section = store(graph).section;
  const size_t used = file.find(section) + section.size();
  for (size_t i = 0; i < used; ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = file;
      bad[i] = char(bad[i] ^ 1 << bit);
      try {
        EXPECT_EQ(store(load(bad)).section, section) << "byte " << i << ", bit " << bit;
      } catch (const Error&) {
      }
    }
}

TEST(ModelFile, SurvivesAnyGraphSection) {
  const Stored stored = store(sample());
  const auto attempt = [&](const std::string& bad) {
    try {
      verify(read(bad, stored.weights));
    } catch (const Error&) {
    }
  };
  for (size_t i = 0; i < stored.section.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = stored.section;
      bad[i] = char(bad[i] ^ 1 << bit);
      attempt(bad);
    }
  for (size_t n = 0; n < stored.section.size(); ++n) attempt(stored.section.substr(0, n));
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    std::string bad = stored.section;
    for (int k = 0; k < 1 + round % 5; ++k) bad[random() % bad.size()] = char(random());
    attempt(bad);
  }
}

TEST(ModelFile, VerifyNamesADamagedSection) {
  const std::string path =
      (std::filesystem::temp_directory_path() / cat("inlay_verify_test_", getpid(), ".inlay")).string();
  save_model(sample(), path);
  verify_file(path);
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(-1, std::ios::end).put('!');
  EXPECT_NE(error_of([&] { verify_file(path); }).find("kind 2"), std::string::npos);
  EXPECT_NO_THROW(load_model(path));  // which does not read weights
  std::filesystem::remove(path);
}

TEST(ModelFile, RefusesANewerVersion) {
  std::string file = file_of(sample());
  file[8] = 2;
  const std::string text = error_of([&] { load(file); });
  EXPECT_NE(text.find("version 2"), std::string::npos) << text;
}

TEST(ModelFile, RefusesAnOpOfOneMachine) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::f32, Shape{1, 4, 4, 8}));
  graph.nodes.push_back({schema::ConvLast{}, {x}, {x}, {"fused (Conv)"}, {}});
  const std::string text = error_of([&] { store(graph); });
  EXPECT_NE(text.find("ConvLast"), std::string::npos) << text;
  EXPECT_NE(text.find("fused (Conv)"), std::string::npos) << text;
}
}  // namespace
}  // namespace engine
