#include "tools/outputs.h"
#include <algorithm>
#include <cmath>
#include <filesystem>
#include "kernels/os.h"

namespace tools {
namespace {
struct Statistics {
  double least = NAN, most = NAN, mean = NAN;
  int64_t nans = 0;
};

Statistics statistics(const ConstView& x) {
  Statistics s;
  double sum = 0;
  const int64_t n = x.elements();
  for (int64_t i = 0; i < n; ++i) {
    const double value = load<double>(x, i);
    s.nans += std::isnan(value);
    s.least = std::fmin(s.least, value);
    s.most = std::fmax(s.most, value);
    sum += std::isnan(value) ? 0 : value;
  }
  if (n > s.nans) s.mean = sum / double(n - s.nans);
  return s;
}

std::string quoted(std::string text) {
  if (text.size() > 40) text = text.substr(0, 40) + "…";
  return "\"" + text + "\"";
}

std::string element(const ConstView& x, int64_t i) {
  if (x.dtype == DType::string) return quoted(x.as<std::string>()[size_t(i)]);
  if (schema::is_real(x.dtype)) return format("%.6g", load<double>(x, i));
  if (x.dtype == DType::u64) return std::to_string(load<UInt>(x, i).v);
  return std::to_string(load<Int>(x, i).v);
}

std::string tensor_summary(const ConstView& x) {
  std::string text = to_text(Type::tensor(x.dtype, Shape(x.shape.begin(), x.shape.end())));
  const int64_t n = x.elements();
  if (n == 0) return text;
  if (x.dtype != DType::string) {
    const Statistics s = statistics(x);
    text += format("  min %.6g  max %.6g  mean %.6g", s.least, s.most, s.mean);
    if (s.nans) text += cat("  NaN ", s.nans);
  }
  text += "  first";
  for (int64_t i = 0; i < std::min<int64_t>(n, 6); ++i) text += " " + element(x, i);
  return text + (n > 6 ? " …" : "");
}

bool is_tensor(const ConstView& x) { return !x.object || x.object->kind == ValueKind::tensor; }

std::string item_name(const std::string& name, const Object& holder, size_t i) {
  if (holder.kind == ValueKind::map) return name + (i == 0 ? "_keys" : "_values");
  return cat(name, '_', i);
}

// A number, or null for what JSON has no number for.
Json number(double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); }
}  // namespace

OutputFolder::OutputFolder(const std::string& path) : path_(path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  require(!error && std::filesystem::is_directory(path, error), Code::io, "the output folder ", path,
          " cannot be made: ", error ? error.message() : "there is a file of that name");
  const auto status = kernels::os::check_writable(path + "/output.npy");
  require(status.ok(), Code::io, status.message);
}

std::string OutputFolder::write(const std::string& name, const ConstView& tensor) {
  std::string safe = name.empty() ? "output" : name.substr(0, 200);
  for (char& c : safe)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && c != '-') c = '_';
  std::string unique = safe;
  for (int n = 2; !taken_.insert(unique).second; ++n) unique = cat(safe, '_', n);
  const std::string path = (std::filesystem::path(path_) / (unique + ".npy")).string();
  write_npy(path, tensor);
  return path;
}

Json describe(const std::string& name, const ConstView& x, OutputFolder* folder) {
  Json json{{"name", name}};
  if (!is_tensor(x)) {
    json["kind"] = schema::name(x.object->kind);
    json["items"] = Json::array();
    for (size_t i = 0; i < x.object->items.size(); ++i)
      json["items"].push_back(describe(item_name(name, *x.object, i), x.object->items[i].view(), folder));
    return json;
  }
  json["dtype"] = numpy_name(x.dtype);
  json["shape"] = Shape(x.shape.begin(), x.shape.end());
  json["file"] = folder ? Json(folder->write(name, x)) : Json(nullptr);
  if (x.dtype == DType::string || x.elements() == 0) return json;
  const Statistics s = statistics(x);
  json["min"] = number(s.least), json["max"] = number(s.most), json["mean"] = number(s.mean);
  if (s.nans) json["nan"] = s.nans;
  return json;
}

std::string summary(const std::string& name, const ConstView& x) {
  if (is_tensor(x)) return cat(name, "  ", tensor_summary(x), "\n");
  const auto& items = x.object->items;
  std::string text =
      cat(name, "  ", schema::name(x.object->kind), items.empty() ? ", empty" : cat(" of ", items.size()), "\n");
  for (size_t i = 0; i < items.size(); ++i) text += summary("  " + item_name(name, *x.object, i), items[i].view());
  return text;
}

std::vector<std::string> read_labels(const std::string& path) {
  kernels::os::Memory file;
  const auto status = kernels::os::Memory::map_file(path, file);
  require(status.ok(), Code::io, "the labels: ", status.message);
  std::vector<std::string> labels;
  std::istringstream lines(std::string(reinterpret_cast<const char*>(file.data()), file.size()));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    labels.push_back(line);
  }
  require(!labels.empty(), Code::invalid_argument, path, " holds no labels");
  return labels;
}

std::vector<Ranked> top(Session& session, const std::vector<std::string>& labels, size_t count) {
  const ConstView* found = nullptr;
  for (size_t k = 0; k < session.model().outputs() && !found; ++k) {
    const ConstView& x = session.output(k);
    if (is_tensor(x) && schema::is_real(x.dtype) && x.elements() > 0 &&
        (labels.empty() || x.elements() == int64_t(labels.size())))
      found = &x;
  }
  require(found, Code::invalid_argument, "no output is a tensor of real numbers",
          labels.empty() ? "" : cat(" with ", labels.size(), " elements, as many as there are labels"));
  std::vector<Ranked> all;
  for (int64_t i = 0; i < found->elements(); ++i)
    all.push_back({i, load<double>(*found, i), labels.empty() ? std::to_string(i) : labels[size_t(i)]});
  std::ranges::stable_sort(all, [](const Ranked& a, const Ranked& b) {
    return a.value > b.value || (std::isnan(b.value) && !std::isnan(a.value));
  });
  all.resize(std::min(count, all.size()));
  return all;
}
}  // namespace tools
