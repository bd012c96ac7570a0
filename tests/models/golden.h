// Stored models with the inputs and outputs of another engine, and how results are compared with them.
#pragma once
#include <filesystem>
#include "engine/session.h"

namespace test {
using namespace engine;

// The folder with models and conformance cases that are too large for the repository: $INLAY_SHARED, or shared/ beside
// it.
std::filesystem::path shared_folder();

struct Named {
  std::string name;
  Object value;
};
struct Golden {
  std::vector<Named> inputs, outputs;
};
Golden read_golden(const std::filesystem::path& folder);

// Empty if `got` is `want`: the same kind, dtype and shape, and elements within atol + rtol * |want|. NaN equals NaN.
std::string difference(const ConstView& got, const ConstView& want, double rtol, double atol);

// A file in the temporary folder that vanishes with this.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& name);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A new folder there, which vanishes with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};
}  // namespace test
