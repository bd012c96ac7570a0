// 2,000 damaged copies of 5 .onnx and 5 .inlay files: each is refused with an Error, or is a valid model that runs on
// zeros or says why not. None takes more memory, work or time than it may.
#include <gtest/gtest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <unistd.h>
#include "converter/convert.h"
#include "kernels/threads.h"
#include "tests/fuzz/checksums.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/seeds.h"
#include "tests/limits/bytes.h"

namespace {
namespace fs = std::filesystem;
using namespace engine;
constexpr unsigned seed = 20240607;
constexpr int copies = 200;  // of each file
constexpr int64_t megabyte = 1 << 20, most = 64 * megabyte;
constexpr int64_t counted = 48 * megabyte;  // of what budgets count; the rest is for what describes models and plans
constexpr double most_work = 1e9, most_seconds = 4;

struct File {
  std::string name, bytes;
};

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The demo model, real models as far as they are here, and small ones in place of those that are not.
std::vector<File> onnx_files() {
  const fs::path source = INLAY_SOURCE_DIR;
  const char* folder = std::getenv("INLAY_SHARED");
  const fs::path shared = (folder ? fs::path(folder) : source / "../shared") / "models";
  std::vector<File> files{{"demo", read_all(source / "tools/demo/demo.onnx")}};
  for (const char* name : {"gpt2_past_tiny", "lstm_as_loop", "mnist_cntk"})
    if (fs::exists(shared / name / "model.onnx")) files.push_back({name, read_all(shared / name / "model.onnx")});
  for (const auto& [name, model] : fuzz::seeds())
    if (files.size() < 5 && (name == "found_at_run" || name == "loop" || name == "shapes" || name == "sequences"))
      files.push_back({name, model.SerializeAsString()});
  return files;
}

// A cut, up to 8 flipped bits, or bytes put in, taken out, repeated or overwritten by other lengths.
std::string damaged(std::string bytes, std::mt19937& random) {
  const size_t size = bytes.size(), at = random() % size, length = 1 + random() % std::min<size_t>(size - at, random() % 4 ? 8 : 4096);
  switch (random() % 6) {
    case 0: bytes.resize(at); break;
    case 1: case 2:
      for (unsigned n = 1 + random() % 8; n-- > 0;) bytes[random() % size] ^= char(1 << random() % 8);
      break;
    case 3: bytes.erase(at, length); break;
    case 4: bytes.insert(random() % size, bytes.substr(at, length)); break;
    default: {
      static constexpr unsigned char lengths[] = {0, 1, 0x7f, 0x80, 0xff};
      for (size_t i = 0; i < std::min<size_t>(length, 8); ++i) bytes[at + i] = char(lengths[random() % std::size(lengths)]);
    }
  }
  return bytes;
}

struct Outcome {
  int refused = 0, failed = 0, ran = 0;
  double slowest = 0;
  int64_t most = 0;
};

std::shared_ptr<Budget> budget() {
  auto made = std::make_shared<Budget>(counted);
  made->start(most_work, Budget::Clock::now() + std::chrono::seconds(int(most_seconds)));
  return made;
}

template <class Load> void check(const std::string& bytes, const Load& load, Outcome& outcome) {
  static kernels::ThreadPool pool(1);
  const auto start = std::chrono::steady_clock::now();
  const int64_t before = bytes_held();
  forget_most_bytes();
  bool loaded = false;
  try {
    CompileOptions options;
    options.max_arena_bytes = options.max_memory_bytes = counted, options.max_work = most_work;
    std::shared_ptr<const Model> model;
    {
      const BudgetScope scope(budget());
      Graph graph = load(bytes);
      verify(graph);
      model = std::make_shared<const Model>(std::move(graph), options);
    }
    loaded = true;
    SessionOptions session_options;
    session_options.pool = &pool, session_options.time_limit = most_seconds;
    Session session(model, session_options);
    std::vector<Object> inputs(model->inputs());
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (!fuzz::zeros(model->input(k).type, inputs[k])) fail(Code::limit, "input ", k, " is too large to make");
      session.set_input(k, std::as_const(inputs[k]).view());
    }
    session.run();
    ++outcome.ran;
    EXPECT_LE(session.budget().most_held(), counted);
  } catch (const Error& e) {
    EXPECT_STRNE(e.what(), "");
    ++(loaded ? outcome.failed : outcome.refused);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  outcome.slowest = std::max(outcome.slowest, seconds);
  outcome.most = std::max(outcome.most, most_bytes_held() - before);
  EXPECT_LE(seconds, 2 * most_seconds + 4);  // loading and running have a deadline each; a step ends when it ends
  if (counts_bytes) {
    EXPECT_LE(most_bytes_held() - before, most);
  }
}

template <class Load> void check_all(const std::vector<File>& files, const Load& load) {
  ASSERT_EQ(files.size(), 5u);
  std::printf("  seed %u, %d copies each\n", seed, copies);
  for (const File& file : files) {
    std::mt19937 random(seed);
    Outcome outcome;
    for (int i = 0; i < copies; ++i) {
      SCOPED_TRACE(testing::Message() << file.name << ", copy " << i);
      check(damaged(file.bytes, random), [&](const std::string& bytes) { return load(bytes, i); }, outcome);
    }
    EXPECT_EQ(outcome.refused + outcome.failed + outcome.ran, copies);
    std::printf("  %-16s %4d refused, %4d loaded and refused a run, %4d ran; the slowest %.2f s, the most %.1f MB\n", file.name.c_str(), outcome.refused,
                outcome.failed, outcome.ran, outcome.slowest, double(outcome.most) / double(megabyte));
  }
}

TEST(Mutation, Onnx) {
  check_all(onnx_files(), [](const std::string& bytes, int) {
    Graph graph = converter::import_onnx_bytes(std::as_bytes(std::span(bytes)));
    run_passes(graph, converter::pipeline());
    return graph;
  });
}

TEST(Mutation, Inlay) {
  std::vector<File> files = onnx_files();
  const std::string path = (fs::temp_directory_path() / cat("inlay_mutation_", getpid())).string();
  for (File& file : files) {
    Graph graph = converter::import_onnx_bytes(std::as_bytes(std::span(file.bytes)));
    run_passes(graph, converter::pipeline());
    save_model(graph, path);
    file.bytes = read_all(path);
  }
  fs::remove(path);
  check_all(files, [](const std::string& bytes, int copy) {
    const auto file = std::make_shared<Bytes>();
    file->resize(bytes.size());
    std::memcpy(file->data(), bytes.data(), bytes.size());
    if (copy % 4) fuzz::correct_checksums({file->data(), bytes.size()});  // or hardly any would get past them
    return load_model(std::span<const std::byte>(file->data(), bytes.size()), file);
  });
}
}  // namespace
