// Packed weights: shared by plans, stored in files, and ignored where a file's are not for this build or these weights.
#include "engine/packing.h"
#include <filesystem>
#include <fstream>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "engine/model_file.h"
#include "tests/engine/compiled.h"

namespace engine {
namespace {
using namespace test;

// A direct and a Winograd convolution, a depthwise one, a product, and a recurrent net of several weights.
Built network() {
  Built b;
  ValueId x = b.input({1, 32, 28, 28});
  x = b.conv(unary(b.r, UnaryKind::relu, b.conv(x, 32, 64, 3)), 64, 64, 1);
  x = b.conv(x, 64, 64, 5, 64);
  const ValueId rows = b.r.add(schema::Reshape{}, {x, b.graph.add_constant(make_ints({28, 1, 1792}))}, {"rows"})[0];
  schema::Rnn lstm;
  lstm.kind = schema::RnnKind::lstm, lstm.hidden = 24;
  const ValueId y = b.r.add(lstm, {b.mat_mul(rows, 1792, 40), b.constant({1, 96, 40}), b.constant({1, 96, 24}), b.constant({1, 192})}, {"lstm"}, 1)[0];
  b.output(y);
  return b;
}
Types types_of(const Graph& graph) { return {graph[graph.inputs[0]].type}; }

struct File {
  std::string text;
  uint64_t word(size_t at, size_t bytes = 8) const {
    uint64_t value = 0;
    std::memcpy(&value, text.data() + at, bytes);
    return value;
  }
  template <class T> void put(size_t at, T value) { std::memcpy(text.data() + at, &value, sizeof value); }
  size_t row(uint32_t kind) const {  // of the section table
    for (size_t i = 0; i < word(12, 4); ++i)
      if (word(32 + 40 * i, 4) == kind) return 32 + 40 * i;
    return 0;
  }
  size_t start(uint32_t kind) const { return word(row(kind) + 8); }
  void seal() { put(24, XXH3_64bits(text.data() + 32, 40 * word(12, 4))); }  // the table's checksum
};
constexpr uint32_t weights_kind = 2, packed_kind = 3;

class StoredPacking : public testing::Test {
 protected:
  StoredPacking() {
    save_model(b_.graph, path_, compile(b_.graph, types_of(b_.graph), {}).packed);
    std::ifstream in(path_, std::ios::binary);
    file_.text.assign(std::istreambuf_iterator<char>(in), {});
  }
  ~StoredPacking() override { std::filesystem::remove(path_); }
  Graph load(const File& file) {
    auto memory = std::make_shared<Bytes>();
    memory->resize(file.text.size());
    std::memcpy(memory->data(), file.text.data(), file.text.size());
    return load_model({memory->data(), memory->size()}, memory);
  }
  // How many packed weights came from the file; the results are those of the graph that was saved.
  size_t taken(const Graph& graph) {
    const Ran got = run(graph, {}, 2), want = run(b_.graph, {}, 1);
    EXPECT_EQ(std::memcmp(got.outputs[0].bytes.data(), want.outputs[0].bytes.data(), want.outputs[0].bytes.size()), 0);
    const Plan plan = compile(graph, types_of(graph), {});
    return size_t(std::ranges::count_if(plan.packed, &PackedFor::from_file));
  }

  Built b_ = network();
  const std::string path_ = (std::filesystem::temp_directory_path() / cat("inlay_packing_test_", getpid(), ".inlay")).string();
  File file_;
};

TEST_F(StoredPacking, IsMappedAndNotPackedAgain) {
  const Graph graph = load_model(path_);
  const Plan plan = compile(graph, types_of(graph), {});
  ASSERT_GE(plan.packed.size(), 4u);
  EXPECT_EQ(taken(graph), plan.packed.size());
  for (const PackedFor& p : plan.packed) EXPECT_EQ(reinterpret_cast<uintptr_t>(p.packed.get()) % 64, 0u) << p.packing;
  verify_file(path_);
}

TEST_F(StoredPacking, OutlivesItsModel) {
  std::vector<PackedFor> stored;
  {
    const Graph graph = load_model(path_);
    stored = compile(graph, types_of(graph), {}).packed;
  }
  const Plan made = compile(b_.graph, types_of(b_.graph), {});
  ASSERT_EQ(stored.size(), made.packed.size());
  for (size_t i = 0; i < stored.size(); ++i) {
    EXPECT_TRUE(stored[i].from_file);
    EXPECT_EQ(std::memcmp(stored[i].packed.get(), made.packed[i].packed.get(), stored[i].bytes), 0) << stored[i].packing;
  }
}

TEST_F(StoredPacking, ACopyOfTheFileDoesWithout) { EXPECT_EQ(taken(load_model(path_, LoadMode::copy)), 0u); }

TEST_F(StoredPacking, OtherInstructionSetsPackForThemselves) {
  const Graph graph = load_model(path_);
  CompileOptions scalar;
  scalar.isa = kernels::isa::scalar;
  for (const PackedFor& p : compile(graph, types_of(graph), scalar).packed) EXPECT_FALSE(p.from_file && p.packing.find("_scalar") == std::string::npos) << p.packing;
}

TEST_F(StoredPacking, OfAnotherVersionIsIgnored) {
  file_.put(file_.start(packed_kind), packing_version + 1);
  EXPECT_EQ(taken(load(file_)), 0u);
}

// Whoever exchanges weights may leave the packed ones.
TEST_F(StoredPacking, OfOtherWeightsIsIgnored) {
  const size_t row = file_.row(weights_kind);
  file_.put(row + 24, file_.word(row + 24) + 1), file_.seal();
  EXPECT_EQ(taken(load(file_)), 0u);
}

TEST_F(StoredPacking, ADamagedIndexIsIgnored) {
  const size_t start = file_.start(packed_kind), size = file_.word(start + 16);
  for (size_t at = 0; at < size; at += at < 128 ? 1 : 13) {
    File damaged = file_;
    damaged.text[start + at] = char(damaged.text[start + at] ^ 0x41);
    const Graph graph = load(damaged);
    const Plan plan = compile(graph, types_of(graph), {});
    ASSERT_EQ(std::ranges::count_if(plan.packed, &PackedFor::from_file), 0) << "byte " << at;
  }
}

// An index that is whole and lies: offsets, sizes, counts and lengths at their edges.
TEST_F(StoredPacking, AnIndexThatLiesIsIgnored) {
  const size_t start = file_.start(packed_kind), size = file_.word(start + 16);
  const uint64_t values[] = {0, 1, 63, 64, size, file_.word(file_.row(packed_kind) + 16), uint64_t(1) << 32, uint64_t(1) << 63, UINT64_MAX, UINT64_MAX - 63};
  for (size_t at = 4; at < std::min<size_t>(size, 160); at += 4)
    for (const uint64_t value : values)
      for (const size_t bytes : {4u, 8u}) {
        File lying = file_;
        bytes == 4 ? lying.put(start + at, uint32_t(value)) : lying.put(start + at, value);
        const uint64_t claimed = lying.word(start + 16);
        if (claimed >= 32 && claimed <= size) lying.put(start + 24, XXH3_64bits(lying.text.data() + start + 32, claimed - 32));
        const Graph graph = load(lying);
        const Plan plan = compile(graph, types_of(graph), {});
        for (const PackedFor& p : plan.packed)
          if (p.from_file) {
            volatile auto first = p.packed.get()[0], last = p.packed.get()[p.bytes - 1];  // within the file, whatever it holds
            (void)first, (void)last;
          }
      }
}

TEST_F(StoredPacking, DamagedContentsAreForVerifyToFind) {
  file_.text[file_.start(packed_kind) + file_.word(file_.row(packed_kind) + 16) - 70] ^= 1;
  std::ofstream(path_, std::ios::binary) << file_.text;
  EXPECT_ERROR(verify_file(path_), "kind 3", "damaged");
}

TEST_F(StoredPacking, CutFilesAreRefused) {
  for (size_t n : {file_.text.size() - 1, file_.start(packed_kind) + 1, file_.start(packed_kind)}) {
    File cut = file_;
    cut.text.resize(n);
    EXPECT_THROW(load(cut), Error);
  }
}

TEST(Packing, PlansAndModelsShareIt) {
  const Built b = network(), same = network();
  const Plan one = compile(b.graph, types_of(b.graph), {}), two = compile(same.graph, types_of(same.graph), {});
  ASSERT_EQ(one.packed.size(), two.packed.size());
  for (size_t i = 0; i < one.packed.size(); ++i) EXPECT_EQ(one.packed[i].packed.get(), two.packed[i].packed.get()) << one.packed[i].packing;
}

// Weights of a file are known by a few of their lines until others have the same.
class PackedFromFiles : public testing::Test {
 protected:
  static constexpr int64_t side = 160;
  // Products by 160x160 numbers: the same ones, but for those that are changed in one which no sample of lines has.
  static Built products(std::initializer_list<bool> changes) {
    Built b;
    const ValueId x = b.input({4, side});
    const ConstantPtr weight = random_constant({side, side}, 3);
    for (const bool change : changes) {
      Object object;
      const View numbers = object.set_tensor(DType::f32, weight->shape);
      copy_tensor(numbers, weight->view());
      if (change) store(numbers, 1000, 0.5);
      b.output(b.r.add(schema::MatMul{}, {x, b.graph.add_constant(make_constant(std::as_const(object).view()))}, {"product"})[0]);
    }
    return b;
  }
  Graph mapped(const Graph& graph) {
    paths_.push_back((std::filesystem::temp_directory_path() /
                      cat("inlay_packed_from_files_", getpid(), '_', paths_.size(), ".inlay"))
                         .string());
    save_model(graph, paths_.back(), {});
    Graph loaded = load_model(paths_.back());
    EXPECT_TRUE(std::ranges::any_of(loaded.values, [](const Value& v) { return v.constant && v.constant->mapping; }));
    return loaded;
  }
  static void expect_results_of(const Graph& graph) {
    CompileOptions reference;
    reference.reference_only = true;
    const Ran got = run(graph, {}, 2), want = run(graph, reference, 1);
    for (size_t k = 0; k < want.outputs.size(); ++k)
      for (int64_t i = 0; i < want.outputs[k].view().elements(); ++i)
        ASSERT_NEAR(load<double>(got.outputs[k].view(), i), load<double>(want.outputs[k].view(), i), 1e-4)
            << k << ' ' << i;
  }
  ~PackedFromFiles() override {
    for (const std::string& p : paths_) std::filesystem::remove(p);
  }
  std::vector<std::string> paths_;
};

TEST_F(PackedFromFiles, PlansAndFilesShareWhatIsTheSame) {
  const Graph one = mapped(products({false, true}).graph), other = mapped(products({false, true}).graph);
  const Plan first = compile(one, types_of(one), {}), again = compile(one, types_of(one), {}),
             of_other = compile(other, types_of(other), {});
  ASSERT_EQ(first.packed.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(first.packed[i].packed.get(), again.packed[i].packed.get());
    EXPECT_EQ(first.packed[i].packed.get(), of_other.packed[i].packed.get());
  }
}

TEST_F(PackedFromFiles, OneNumberBetweenTheSamplesMakesAnother) {
  const Graph graph = mapped(products({false, true}).graph), same = mapped(products({false, false}).graph);
  const Plan plan = compile(graph, types_of(graph), {}), of_same = compile(same, types_of(same), {});
  EXPECT_NE(plan.packed[0].packed.get(), plan.packed[1].packed.get());
  EXPECT_EQ(of_same.packed[0].packed.get(), of_same.packed[1].packed.get());
  EXPECT_NE(std::memcmp(plan.packed[0].packed.get(), plan.packed[1].packed.get(), plan.packed[0].bytes), 0);
  expect_results_of(graph), expect_results_of(same);
}

// What was packed stays with a plan; its file is gone, and another one may lie where it was.
TEST_F(PackedFromFiles, AFileThatIsGoneIsNotRead) {
  std::vector<PackedFor> kept;
  {
    const Graph graph = mapped(products({true}).graph);
    kept = compile(graph, types_of(graph), {}).packed;
  }
  const Graph graph = mapped(products({false}).graph);
  const Plan plan = compile(graph, types_of(graph), {});
  EXPECT_NE(plan.packed[0].packed.get(), kept[0].packed.get());
  expect_results_of(graph);
}

// What a plan shares with another that is gone stays, whatever was allocated with it.
TEST(Packing, StaysForWhoStillHoldsIt) {
  const Built b = network();
  std::vector<PackedFor> kept;
  std::vector<std::byte> contents;
  {
    const Plan plan = compile(b.graph, types_of(b.graph), {});
    kept.push_back(plan.packed.at(1));
    contents.assign(kept[0].packed.get(), kept[0].packed.get() + kept[0].bytes);
  }
  EXPECT_EQ(std::memcmp(kept[0].packed.get(), contents.data(), contents.size()), 0);
}

TEST(Packing, AnyNumberOfThreadsPacksTheSame) {
  std::vector<std::vector<std::byte>> before;
  for (int threads : {1, 2, 5}) {
    kernels::ThreadPool pool(threads);
    const Built b = network();
    const Plan plan = compile(b.graph, types_of(b.graph), {}, {&pool, threads});
    for (size_t i = 0; i < plan.packed.size(); ++i) {
      const std::vector<std::byte> now(plan.packed[i].packed.get(), plan.packed[i].packed.get() + plan.packed[i].bytes);
      if (threads == 1) before.push_back(now);
      else EXPECT_EQ(now, before.at(i)) << plan.packed[i].packing;
    }
  }
}

TEST(Packing, IsDrawnOnTheBudget) {
  const Built b = network();
  const BudgetScope scope(std::make_shared<Budget>(100 << 10));
  EXPECT_THROW(compile(b.graph, types_of(b.graph), {}), Error);
}
// Where all extents are known, no other plan will pack it.
TEST(Packing, ALargeMatrixThatOneRowMeetsStaysWhereItIs) {
  const auto product = [](Dims x, bool transposed) {
    Built b;
    const ValueId w = b.constant(transposed ? Shape{1100, 1000} : Shape{1000, 1100}, 0.1);
    const ValueId y = b.r.add(schema::MatMul{.trans_b = transposed}, {b.input(std::move(x)), w}, {"product"})[0];
    b.output(b.r.add(schema::Binary{schema::BinaryKind::add}, {y, b.constant({1100})}, {"bias"})[0]);
    return b;
  };
  const auto stays = [](const Built& b, const Dims& x) {
    const Plan plan = compile(b.graph, {f32_type(x)}, {});
    EXPECT_EQ(plan.steps.size(), 1u);
    EXPECT_EQ(plan.packed.size() == 0, plan.steps[0].kernel.starts_with("gemv_"));
    return plan.packed.size() == 0;
  };
  EXPECT_EQ(stays(product({1, 1000}, true), {1, 1000}), kernels::isa::detected() != kernels::isa::scalar);
  EXPECT_FALSE(stays(product({1, 1000}, false), {1, 1000}));
  EXPECT_FALSE(stays(product({2, 1000}, true), {2, 1000}));
  EXPECT_FALSE(stays(product({Dim::symbol("batch"), 1000}, true), {1, 1000}));
  EXPECT_EQ(steps_of(product({1, 1000}, true).graph), std::vector<std::string>{"Fused"});
}
}  // namespace
}  // namespace engine
