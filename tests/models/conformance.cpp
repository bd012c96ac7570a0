// onnx_conformance [--dump DIR] [--expect TABLE] [--seconds N] [--on-emulated-device N | --on-device] PATH…: runs ONNX's backend test cases, each within a
// time limit and in a process that it may crash, and prints a line for each. A PATH is a case, or a folder of cases.
// --dump: the outputs of each case as DIR/NAME/output_K.pb (DIR/NAME/test_data_set_N/output_K.pb where there are
// several sets). --expect: each PATH is a whole folder (node, simple, …), and exactly the cases fail that the table
// lists for it, for the reasons it gives: tab-separated folder, case, class, gate, and words of the reason that is
// printed; pictures are left out where the build has no decoder for them. --on-emulated-device: on the device that
// $INLAY_CUDA_LIBRARY emulates, and at least N cases have a kernel there; those that have none are named. --on-device: on the
// device of a machine that has one.
#include <dlfcn.h>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include "tests/models/conformance_case.h"
#include "tests/models/golden.h"
#include "tests/models/isolated.h"

namespace test {
namespace {
namespace fs = std::filesystem;

struct Options {
  std::optional<fs::path> dump, table;
  Isolation isolation;
  std::vector<fs::path> paths;
  std::optional<size_t> on_device;  // at least so many cases
};

// Kernels that the emulation has run in this process.
int64_t emulated_launches() {
  const char* library = std::getenv("INLAY_CUDA_LIBRARY");
  void* handle = library ? dlopen(library, RTLD_NOW | RTLD_NOLOAD) : nullptr;
  const auto count = handle ? reinterpret_cast<int64_t (*)()>(dlsym(handle, "inlay_emulated_launches")) : nullptr;
  return count ? count() : 0;
}

using Key = std::pair<std::string, std::string>;  // folder and case
using Table = std::map<Key, std::string>;         // the words of the reason

Table read_table(const fs::path& path) {
  std::ifstream file(path);
  require(file.good(), Code::io, "cannot read ", path.string());
  Table table;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> fields(1);
    for (char c : line)
      if (c == '\t') fields.emplace_back();
      else fields.back() += c;
    require(fields.size() == 5 && !fields[4].empty(), Code::invalid_argument, path.string(), ": '", line,
            "' does not have five fields");
    const bool fresh = table.emplace(Key{fields[0], fields[1]}, fields[4]).second;
    require(fresh, Code::invalid_argument, path.string(), " lists ", fields[1], " twice");
  }
  return table;
}

// What is not as the table says; empty if all is. `failures` holds the reason of each failed case.
std::string unexpected(const Table& table, const std::vector<Case>& cases, const std::map<Key, std::string>& failures) {
  std::string text;
  std::set<Key> known;
  std::set<std::string> folders;
  for (const Case& c : cases) {
    const Key key{c.folder, c.name};
    known.insert(key), folders.insert(c.folder);
    const auto listed = table.find(key);
    const auto failed = failures.find(key);
    if (listed == table.end() && failed != failures.end()) text += cat("  ", c.name, " fails, and is not listed\n");
    if (listed != table.end() && failed == failures.end()) text += cat("  ", c.name, " passes, and is listed\n");
    if (listed != table.end() && failed != failures.end() && failed->second.find(listed->second) == std::string::npos)
      text += cat("  ", c.name, " fails for another reason than '", listed->second, "'\n");
  }
  for (const auto& [key, _] : table)
    if (folders.contains(key.first) && !known.contains(key))
      text += cat("  ", key.second, " is listed, and not there\n");
  return text;
}

int run_all(const Options& options) {
  std::vector<Case> cases;
  for (const fs::path& path : options.paths) {
    const size_t before = cases.size();
    find_cases(path, cases);
    if (cases.size() == before) std::fprintf(stderr, "no case in %s\n", path.c_str());
  }
  const Table table = options.table ? read_table(*options.table) : Table();
  const TemporaryFolder work;
  const fs::path tally = fs::path(work.path()) / "on_device";  // a line for each case, from the process that runs it
  std::map<Key, std::string> failures;
  size_t skipped = 0;
  const auto job = [&](size_t i) {
    const auto dump = options.dump ? std::optional(*options.dump / cases[i].name) : std::nullopt;
    if (!options.on_device) return run_case(cases[i], work.path(), dump);
    const int64_t before = emulated_launches();
    const std::string result = run_case(cases[i], work.path(), dump, INLAY_CUDA);
    if (emulated_launches() > before) std::ofstream(tally, std::ios::app) << i << '\n';
    return result;
  };
  const auto report = [&](size_t i, const std::string& result) {
    std::string reason = result;
    std::ranges::replace(reason, '\n', ' ');
    const bool left_out = reason.find("was configured with INLAY_") != std::string::npos;  // an op that this build goes without
    if (reason.empty()) std::printf("PASS %s\n", cases[i].name.c_str());
    else if (left_out) std::printf("SKIP %s: %s\n", cases[i].name.c_str(), reason.c_str());
    else std::printf("FAIL %s: %s\n", cases[i].name.c_str(), reason.c_str());
    std::fflush(stdout);
    if (left_out) ++skipped;
    else if (!reason.empty()) failures[{cases[i].folder, cases[i].name}] = reason;
  };
  run_isolated(cases.size(), job, report, options.isolation);
  std::printf("%zu passed, %zu failed, %zu skipped\n", cases.size() - failures.size() - skipped, failures.size(), skipped);
  if (options.on_device) {
    std::set<size_t> have;
    std::ifstream file(tally);
    for (size_t i; file >> i;) have.insert(i);
    const size_t count = have.size();
    for (size_t i = 0; i < cases.size() && *options.on_device; ++i)
      if (!have.contains(i)) std::printf("HOST %s\n", cases[i].name.c_str());
    std::printf("%zu of %zu cases have kernels on the device\n", count, cases.size());
    if (count < *options.on_device) return std::printf("that is fewer than %zu\n", *options.on_device), 1;
  }
  if (!options.table) return !failures.empty() || cases.empty();
  const std::string text = unexpected(table, cases, failures);
  if (!text.empty()) std::printf("not as %s says:\n%s", options.table->c_str(), text.c_str());
  return !text.empty() || cases.empty();
}

int usage() {
  std::fprintf(stderr, "usage: onnx_conformance [--dump DIR] [--expect TABLE] [--seconds N] PATH...\n");
  return 2;
}
}  // namespace
}  // namespace test

int main(int argc, char** argv) {
  test::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--dump" && has_value) options.dump = argv[++i];
    else if (argument == "--expect" && has_value) options.table = argv[++i];
    else if (argument == "--seconds" && has_value) options.isolation.seconds = std::atof(argv[++i]);
    else if (argument == "--on-emulated-device" && has_value) options.on_device = size_t(std::atoll(argv[++i]));
    else if (argument == "--on-device") options.on_device = 0, options.isolation.bytes = INT64_MAX;  // a device's addresses are many
    else if (argument.starts_with("--")) return test::usage();
    else options.paths.emplace_back(argument);
  }
  if (options.paths.empty() || options.isolation.seconds <= 0) return test::usage();
  try {
    return test::run_all(options);
  } catch (const std::exception& e) {
    return std::fprintf(stderr, "error: %s\n", e.what()), 1;
  }
}
