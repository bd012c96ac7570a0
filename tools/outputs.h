// What a run gave: summaries, files, the likeliest classes.
#pragma once
#include <set>
#include "tools/json.h"

namespace tools {
// Writes outputs to a folder, one .npy per tensor. An item of a sequence, and the value of an optional, is a tensor of
// its own: NAME_0.npy, NAME_1.npy, …
class OutputFolder {
 public:
  explicit OutputFolder(const std::string& path);  // makes it if it is not there
  // Returns the path of the file.
  std::string write(const std::string& name, const ConstView& tensor);

 private:
  std::string path_;
  std::set<std::string> taken_;
};

// Name, dtype, shape and file of an output, with the smallest, largest and mean of its elements. `folder` may be null.
Json describe(const std::string& name, const ConstView&, OutputFolder* folder);
// The same for people, in one line per tensor.
std::string summary(const std::string& name, const ConstView&);

struct Ranked {
  int64_t index;
  double value;
  std::string label;
};
// The `count` largest elements of the first output that is a tensor of reals with as many elements as there are labels.
// Without labels, of the first one that is a tensor of reals; its indices are the labels.
std::vector<Ranked> top(Session&, const std::vector<std::string>& labels, size_t count);
std::vector<std::string> read_labels(const std::string& path);
}  // namespace tools
