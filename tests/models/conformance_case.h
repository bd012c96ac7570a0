// ONNX's backend test cases, run through Inlay's public interface: what an application sees.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>
#include <inlay/inlay.h>

namespace test {
struct Case {
  std::string folder, name;  // `folder` is what ONNX calls the group of cases: node, simple, …
  std::filesystem::path model;
  std::vector<std::filesystem::path> sets;  // folders with input_K.pb and output_K.pb; none in a light case
};

// Appends the cases at a path: a case is a folder with model.onnx and test_data_set_N, or a file light_X.onnx beside
// light_X_output_0.pb; any other folder is looked through.
void find_cases(const std::filesystem::path&, std::vector<Case>&, int depth = 0);

// Empty if every output has the expected kind, dtype, shape and values, else why not. Throws where the model cannot be
// converted or run. `work`: an existing folder for temporary files. `dump`: each output is written there as
// output_K.pb, in a folder test_data_set_N each where there are several sets.
std::string run_case(const Case&, const std::filesystem::path& work, const std::optional<std::filesystem::path>& dump, inlay_device = INLAY_CPU);
}  // namespace test
