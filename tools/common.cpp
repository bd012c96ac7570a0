#include "tools/common.h"
#include <charconv>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <set>
#include "converter/convert.h"
#include "engine/device.h"
#include "kernels/os.h"
#include "tools/progress.h"

namespace tools {
bool is_inlay_file(const std::string& path) {
  kernels::os::Memory file;
  const auto status = kernels::os::Memory::map_file(path, file);
  require(status.ok(), Code::io, status.message);
  require(file.size() > 0, Code::invalid_model, path, " is empty");
  return is_model_file({file.data(), file.size()});
}

LoadedGraph load_graph(const std::string& path) {
  if (is_inlay_file(path)) return {load_model(path), false};
  Progress progress("converting " + path);
  converter::ConvertOptions options;
  options.progress = [&](std::string_view stage, int64_t done, int64_t total) { progress.update(stage, done, total); };
  return {converter::convert(path, options), true};
}

int64_t parse_integer(const std::string& text, int64_t least, int64_t most, const std::string& what) {
  int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n < least || n > most)
    throw UsageError(cat(what, ": '", text, "' is not a number from ", least, " to ", most));
  return n;
}

std::pair<std::string, std::string> parse_pair(const std::string& text, const char* option) {
  const size_t at = text.rfind('=');
  if (at == std::string::npos || at == 0) throw UsageError(cat(option, ": '", text, "' is not of the form NAME=VALUE"));
  return {text.substr(0, at), text.substr(at + 1)};
}

Shapes parse_shapes(const std::vector<std::string>& texts, const char* option) {
  Shapes shapes;
  for (const std::string& text : texts) {
    const bool named = text.find('=') != std::string::npos;
    const auto [name, extents] = named ? parse_pair(text, option) : std::pair(std::string(), text);
    Shape shape;
    for (size_t at = 0; at < extents.size();) {
      const size_t end = std::min(extents.find('x', at), extents.size());
      shape.push_back(parse_integer(extents.substr(at, end - at), 0, limits::extent, cat(option, " ", text)));
      if (end + 1 == extents.size()) throw UsageError(cat(option, ": '", text, "' ends with an x"));
      at = end + 1;
    }
    if (!shapes.emplace(name, std::move(shape)).second) throw UsageError(cat(option, ": '", name, "' is given twice"));
  }
  return shapes;
}

double parse_seconds(const std::string& text, const char* option) {
  double n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  const std::string_view unit(end, size_t(text.data() + text.size() - end));
  const double scale = unit == "ms" ? 1e-3 : unit == "s" || unit.empty() ? 1 : unit == "m" ? 60 : 0;
  if (error != std::errc() || !std::isfinite(n) || n < 0 || scale == 0 || n * scale > 86400)
    throw UsageError(cat(option, ": '", text, "' is not a time such as 200ms, 3s or 2m"));
  return n * scale;
}

std::shared_ptr<const Tuning> open_tuning(const std::string& path) {
  auto tuning = std::make_shared<const Tuning>(Tuning::load(path));
  if (!tuning->set_aside().empty()) note(cat("warning: ", path, " is set aside: ", tuning->set_aside()));
  return tuning;
}

kernels::Precision parse_precision(const std::string& text) {
  return kernels::Precision(std::ranges::find(kernels::precision_names, text) - kernels::precision_names.begin());
}
std::string precision_text(const CompileOptions& options) { return std::string(kernels::name(options.rounding())); }

void use_device(DeviceArguments& arguments, CompileOptions& options) {
  const auto precision = arguments.precision.empty() ? std::nullopt : std::optional(parse_precision(arguments.precision));
  if (arguments.name == "cpu") {
    options.precision = precision;
    return require_precision(options);
  }
  try {
    options.device = Device::cuda();
    options.precision = precision;
  } catch (const Error& e) {
    if (e.code != Code::unsupported) throw;
    if (!arguments.fallback) fail(e.code, e.what(), "; --device-fallback runs on the CPU instead");
    note(cat("running on the CPU: ", e.what()));
    arguments.name = "cpu";
  }
}

std::string printable(std::string text) {
  for (char& c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = '?';
  return text;
}

void print(const std::string& text) {
  const std::string safe = printable(text);
  std::fwrite(safe.data(), 1, safe.size(), stdout);
}

void note(const std::string& text) {
  static std::set<std::string> said;
  if (said.insert(text).second) std::fprintf(stderr, "inlay: %s\n", printable(text).c_str());
}

std::string format(const char* pattern, ...) {
  va_list arguments, again;
  va_start(arguments, pattern);
  va_copy(again, arguments);
  std::string text(size_t(std::vsnprintf(nullptr, 0, pattern, arguments)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(arguments);
  va_end(again);
  return text;
}

std::string with_unit(double n, const char* unit) {
  constexpr const char* prefixes[] = {"", "k", "M", "G", "T"};
  size_t k = 0;
  for (; std::fabs(n) >= 1000 && k + 1 < std::size(prefixes); ++k) n /= 1000;
  return format(k == 0 && n == std::floor(n) ? "%.0f %s%s" : "%.2f %s%s", n, prefixes[k], unit);
}

std::string megabytes(int64_t bytes) { return format("%.2f MB", double(bytes) / 1e6); }
}  // namespace tools
