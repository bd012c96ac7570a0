#define XXH_INLINE_ALL
#include "engine/tuning.h"
#include <algorithm>
#include <charconv>
#include <xxhash.h>
#include "engine/graph_text.h"
#include "engine/include/inlay/inlay.h"
#include "kernels/os.h"

namespace engine {
namespace {
constexpr std::string_view first_line = "inlay-tune 1";
constexpr size_t most_bytes = 64 << 20, most_name = 100;
constexpr std::string_view thread_names[] = {"as_planned", "one", "all"};

// A body's values by number, so that names do not count.
void append_structure(std::string& to, const Graph& graph, std::span<const ValueId> values) {
  for (ValueId v : values) to += v == ValueId::none ? " _" : cat(' ', size_t(v), ':', to_text(graph[v].type));
}
void append_structure(std::string& to, const Graph& graph) {
  append_structure(to, graph, graph.inputs);
  for (const Node& node : graph.nodes) {
    to += cat(" {", to_text(node.op));
    append_structure(to, graph, node.inputs);
    to += " ->";
    append_structure(to, graph, node.outputs);
    for (const auto& body : node.bodies) append_structure(to, *body);
    to += '}';
  }
}

std::string_view next_word(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view first = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return first;
}

template <class T> T parse_number(std::string_view text, int base, T least, T most) {
  T value{};
  std::from_chars_result result;
  if constexpr (std::is_floating_point_v<T>) result = std::from_chars(text.data(), text.data() + text.size(), value);
  else result = std::from_chars(text.data(), text.data() + text.size(), value, base);
  require(result.ec == std::errc() && result.ptr == text.data() + text.size() && value >= least && value <= most, Code::invalid_model, "'", text,
          "' is not a number from ", least, " to ", most);
  return value;
}

std::string line_of(std::string_view kind, const std::pair<uint64_t, uint64_t>& key, const TunedChoice& c, const std::string& ratio) {
  char hex[40];
  std::snprintf(hex, sizeof hex, "%016llx%016llx", static_cast<unsigned long long>(key.second), static_cast<unsigned long long>(key.first));
  return cat(kind, ' ', hex, ' ', c.kernel, ' ', c.panel, ' ', thread_names[c.threads], ratio.empty() ? "" : " ", ratio, '\n');
}
}  // namespace

Tuning::Key Tuning::key_of(const LowerContext& c) {
  std::string text = cat(to_text(c.node.op), c.strict ? " strict" : "", c.precision == kernels::Precision::f32 ? "" : " rounded", " isa", c.isa);
  for (size_t k = 0; k < c.node.inputs.size(); ++k)
    text += c.has(k) ? cat(' ', to_text(c.in(k)), c.constant(k) ? "c" : "", c.in_pitch(k)) : std::string(" _");
  for (size_t k = 0; k < c.node.outputs.size(); ++k)
    if (c.node.outputs[k] != ValueId::none) text += cat(" > ", to_text(c.out(k)));
  text += cat(' ', c.out_pitch());
  for (const auto& body : c.node.bodies) append_structure(text, *body);
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return {hash.low64, hash.high64};
}

std::string Tuning::machine() {
  return cat(kernels::isa::name(kernels::isa::detected()), ", ", kernels::isa::processor(), ", inlay ", INLAY_VERSION_MAJOR, '.', INLAY_VERSION_MINOR, '.', INLAY_VERSION_PATCH);
}

Tuning Tuning::parse(std::string_view text) {
  Tuning tuning;
  require(text.size() <= most_bytes, Code::limit, "the cache has ", text.size(), " bytes, more than ", most_bytes);
  size_t at = 0;
  const auto next = [&] {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = std::min(end + 1, text.size());
    return line;
  };
  require(next() == first_line, Code::invalid_model, "not a tune cache: it does not begin with '", first_line, "'");
  std::string_view line = next();
  require(next_word(line) == "machine", Code::invalid_model, "line 2 does not say which machine it is of");
  if (line != machine()) {
    tuning.set_aside_ = cat("it was made on another machine or by another version: ", line, ", and this is ", machine());
    return tuning;
  }
  for (size_t n = 3; at < text.size(); ++n)
    with_context([&] {
      std::string_view rest = next();
      const std::string_view kind = next_word(rest), hex = next_word(rest);
      require(kind == "use" || kind == "measured", Code::invalid_model, "'", kind, "' is neither 'use' nor 'measured'");
      require(hex.size() == 32, Code::invalid_model, "a key has 32 digits");
      const Key key{parse_number<uint64_t>(hex.substr(16), 16, 0, UINT64_MAX), parse_number<uint64_t>(hex.substr(0, 16), 16, 0, UINT64_MAX)};
      TunedChoice choice{std::string(next_word(rest))};
      require(!choice.kernel.empty() && choice.kernel.size() <= most_name, Code::invalid_model, "there is no kernel's name");
      choice.panel = parse_number<int>(next_word(rest), 10, 0, 4);
      const auto threads = std::ranges::find(thread_names, next_word(rest));
      require(threads != std::end(thread_names), Code::invalid_model, "there is no number of threads");
      choice.threads = TunedChoice::Threads(threads - thread_names);
      if (kind == "use") tuning.use(key, std::move(choice));
      else tuning.measure(key, std::move(choice), parse_number<double>(rest, 10, 0, 1e9));
    }, "line ", n);
  return tuning;
}

Tuning Tuning::load(const std::string& path) {
  kernels::os::Memory file;
  const auto status = kernels::os::Memory::read_file(path, file);
  require(status.ok(), Code::io, status.message);
  return with_context([&] { return parse({reinterpret_cast<const char*>(file.data()), file.size()}); }, path);
}

std::string Tuning::text() const {
  std::string text = cat(first_line, "\nmachine ", machine(), '\n');
  for (const auto& [key, choice] : used_) text += line_of("use", key, choice, "");
  for (const auto& [of, ratio] : measured_) {
    char digits[32];
    *std::to_chars(digits, digits + sizeof digits - 1, ratio, std::chars_format::fixed, 4).ptr = 0;
    text += line_of("measured", of.first, of.second, digits);
  }
  return text;
}

void Tuning::save(const std::string& path) const {
  const std::string contents = text();
  const auto status = kernels::os::write_file(path, std::as_bytes(std::span(contents)));
  require(status.ok(), Code::io, status.message);
}

const TunedChoice* Tuning::find(const Key& key) const {
  const auto found = used_.find(pair_of(key));
  return found == used_.end() ? nullptr : &found->second;
}

std::optional<double> Tuning::measured(const Key& key, const TunedChoice& choice) const {
  const auto found = measured_.find({pair_of(key), choice});
  return found == measured_.end() ? std::nullopt : std::optional(found->second);
}
}  // namespace engine
