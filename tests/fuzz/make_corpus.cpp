// fuzz_make_corpus OUT [PATH…]: the inputs that fuzzing starts from, the same every time. OUT/onnx: small models made
// here, and the .onnx files among the paths and in folders among them; OUT/inlay: what those are converted to; OUT/graph
// and OUT/memory_plan: bytes from a fixed seed.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include "converter/convert.h"
#include "engine/model_file.h"
#include "tests/converter/onnx_text.h"
#include "tests/fuzz/seeds.h"

namespace {
namespace fs = std::filesystem;
constexpr size_t largest = 64 << 10;  // bytes of a file in the corpus; larger ones are slow to mutate

void write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
}

void add_model(const fs::path& out, const std::string& name, const fs::path& model) {
  if (fs::file_size(model) > largest) return;
  if (model.parent_path() != out / "onnx") fs::copy_file(model, out / "onnx" / name, fs::copy_options::overwrite_existing);
  try {
    engine::save_model(converter::convert(model.string()), (out / "inlay" / name).string());
    if (fs::file_size(out / "inlay" / name) > largest) fs::remove(out / "inlay" / name);
  } catch (const engine::Error&) {
    // An input all the same: of the importer.
  }
}
}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: %s OUT [PATH...]\n", argv[0]), 2;
  const fs::path out = argv[1];
  for (const char* target : {"onnx", "inlay", "graph", "memory_plan"}) fs::create_directories(out / target);
  for (const auto& [name, model] : fuzz::seeds()) {
    write(out / "onnx" / name, model.SerializeAsString());
    add_model(out, name, out / "onnx" / name);
  }
  for (int i = 2; i < argc; ++i) {
    std::vector<fs::path> files;
    if (fs::is_directory(argv[i]))
      for (const auto& entry : fs::recursive_directory_iterator(argv[i])) files.push_back(entry.path());
    else files.emplace_back(argv[i]);
    std::ranges::sort(files);
    for (const fs::path& file : files)
      if (file.extension() == ".onnx" && fs::is_regular_file(file))
        add_model(out, file.stem() == "model" ? file.parent_path().filename().string() : file.stem().string(), file);
  }
  std::mt19937 random(20240607);
  for (int i = 0; i < 200; ++i)
    for (const char* target : {"graph", "memory_plan"}) {
      std::string bytes(random() % 300, '\0');
      for (char& b : bytes) b = char(random());
      write(out / target / std::to_string(i), bytes);
    }
  return 0;
}
