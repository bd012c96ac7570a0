#include "tests/models/golden.h"
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unistd.h>
#include "tools/npy.h"

namespace test {
namespace fs = std::filesystem;

fs::path shared_folder() {
  const char* given = std::getenv("INLAY_SHARED");
  return given ? fs::path(given) : fs::path(INLAY_SOURCE_DIR).parent_path() / "shared";
}

Golden read_golden(const fs::path& folder) {
  std::ifstream file(folder / "meta.json");
  const auto meta = nlohmann::json::parse(file);
  const auto read = [&](const char* list) {
    std::vector<Named> all;
    for (const auto& row : meta.at(list))
      all.push_back({row.at("name"), tools::read_npy(folder / row.at("file").get<std::string>())});
    return all;
  };
  return {read("inputs"), read("outputs")};
}

namespace {
std::string position(int64_t i, std::span<const int64_t> shape) {
  Shape index(shape.size());
  for (size_t d = shape.size(); d-- > 0; i /= shape[d]) index[d] = i % shape[d];
  return to_text(index);
}

bool near(double got, double want, double rtol, double atol) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got);
  return got == want || std::fabs(got - want) <= atol + rtol * std::fabs(want);
}

std::string differing_elements(const ConstView& got, const ConstView& want, double rtol, double atol) {
  int64_t count = 0, first = 0;
  for (int64_t i = want.elements(); i-- > 0;) {
    const bool same = want.dtype == DType::string
                          ? got.as<std::string>()[size_t(i)] == want.as<std::string>()[size_t(i)]
                          : near(load<double>(got, i), load<double>(want, i), rtol, atol);
    if (!same) ++count, first = i;
  }
  if (!count) return "";
  const auto element = [&](const ConstView& x) {
    return x.dtype == DType::string ? x.as<std::string>()[size_t(first)] : cat(load<double>(x, first));
  };
  return cat(count, " of ", want.elements(), " elements differ, the first at ", position(first, want.shape), ": ",
             element(got), " instead of ", element(want));
}
}  // namespace

std::string difference(const ConstView& got, const ConstView& want, double rtol, double atol) {
  const auto kind = [](const ConstView& x) { return x.object ? x.object->kind : ValueKind::tensor; };
  if (kind(got) != kind(want)) return cat("is a ", name(kind(got)), " instead of a ", name(kind(want)));
  if (kind(want) != ValueKind::tensor) {
    const auto &a = got.object->items, &b = want.object->items;
    if (got.object->dtype != want.object->dtype)
      return cat("holds ", name(got.object->dtype), " instead of ", name(want.object->dtype));
    if (a.size() != b.size()) return cat("has ", a.size(), " items instead of ", b.size());
    for (size_t i = 0; i < a.size(); ++i)
      if (const std::string text = difference(a[i].view(), b[i].view(), rtol, atol); !text.empty())
        return cat("item ", i, ": ", text);
    return "";
  }
  const auto type = [](const ConstView& x) {
    return to_text(Type::tensor(x.dtype, Shape(x.shape.begin(), x.shape.end())));
  };
  if (type(got) != type(want)) return cat("is ", type(got), " instead of ", type(want));
  return differing_elements(got, want, rtol, atol);
}

TemporaryFile::TemporaryFile(const std::string& name)
    : path_((fs::temp_directory_path() / cat("inlay_", getpid(), "_", name)).string()) {}
TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

TemporaryFolder::TemporaryFolder() {
  std::string name = fs::temp_directory_path() / "inlay_XXXXXX";
  require(::mkdtemp(name.data()), Code::io, "cannot make the folder ", name);
  path_ = name;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}
}  // namespace test
