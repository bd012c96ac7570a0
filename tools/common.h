// What the verbs share: loading a model, reading their arguments, printing.
#pragma once
#include <chrono>
#include <map>
#include "engine/session.h"
#include "engine/tuning.h"

namespace tools {
using namespace engine;

// A mistake in the command line: exit status 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct LoadedGraph {
  Graph graph;
  bool from_onnx;
};
// Loads a .inlay file, or converts an ONNX model, whichever the file is by its content.
LoadedGraph load_graph(const std::string& path);
// The first bytes of a file say that it is a .inlay file. Throws io where the path is not that of a readable file.
bool is_inlay_file(const std::string& path);

using Shapes = std::map<std::string, Shape>;
// "input=1x3x224x224", each; "input=" is a scalar, and what has no '=' gets the empty name. `option` is what errors
// call them.
Shapes parse_shapes(const std::vector<std::string>&, const char* option);
// "NAME=VALUE" at its last '='.
std::pair<std::string, std::string> parse_pair(const std::string&, const char* option);
int64_t parse_integer(const std::string&, int64_t least, int64_t most, const std::string& what);
double parse_seconds(const std::string&, const char* option);  // "200ms", "3s", "2m"

// What --device, --device-fallback and --precision say.
struct DeviceArguments {
  std::string name = "cpu", precision;  // no precision: the model's own
  bool fallback = false;
};
kernels::Precision parse_precision(const std::string&);  // of an option whose choices are kernels::precision_names
std::string precision_text(const CompileOptions&);       // what the plans of a model may round to
// Sets the device, none for the CPU, and the precision. Throws where the device is not available, unless the CPU may stand in for it:
// then a note says why, the name becomes the CPU's, and nothing is rounded.
void use_device(DeviceArguments&, CompileOptions&);

// A tune cache. One that another machine or version has made is set aside with a note.
std::shared_ptr<const Tuning> open_tuning(const std::string& path);

// Results go to stdout. Characters that would steer a terminal are replaced.
void print(const std::string&);
void note(const std::string&);  // to stderr, once each
std::string printable(std::string);
[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);
std::string with_unit(double, const char* unit);  // "1.24 M" + unit
std::string megabytes(int64_t bytes);

inline double milliseconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}
using Clock = std::chrono::steady_clock;

inline constexpr int max_threads = 1024;
}  // namespace tools
