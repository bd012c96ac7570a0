// fuzz_TARGET PATH…: gives the target each file, and each file of each folder, in place of libFuzzer. Slower than ten
// seconds is a finding, as a crash is.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>
#include "tests/fuzz/fuzz.h"

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    if (fs::is_regular_file(argv[i])) files.emplace_back(argv[i]);
    if (!fs::is_directory(argv[i])) continue;
    for (const auto& entry : fs::recursive_directory_iterator(argv[i]))
      if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  double slowest = 0;
  for (const fs::path& path : files) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    std::fprintf(stderr, "\r%s", path.c_str());  // what stays on the screen when it crashes
    const auto start = std::chrono::steady_clock::now();
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    slowest = std::max(slowest, seconds);
    std::fprintf(stderr, "\r%*s\r", int(path.string().size()), "");
    if (seconds > 10) {
      std::printf("%s takes %.1f s\n", path.c_str(), seconds);
      return 1;
    }
  }
  std::printf("%zu inputs, the slowest in %.3f s\n", files.size(), slowest);
  return files.empty();
}
