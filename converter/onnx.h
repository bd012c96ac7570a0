// Reads an ONNX model into a Graph: every opset's spelling of an op is lifted to the one meaning that schema/ops.h has.
#pragma once
#include <functional>
#include <map>
#include "engine/graph.h"

namespace converter {
struct ImportOptions {
  std::map<std::string, engine::Shape> fix;  // extents of inputs by name, in place of what the model declares
  bool allow_custom = false;  // a node whose op is not known becomes one that the application implements
  std::function<void(int64_t done, int64_t total)> progress;  // nodes; called now and then, and at the end
};

// Throws one Error that lists every node that cannot be converted, each with its reason. Constants may point into the
// model file and its external data, which stay mapped as long as they are used.
engine::Graph import_onnx(const std::string& path, const ImportOptions& = {});
// The same from memory. External data are looked for in `folder`, and refused if it is empty.
engine::Graph import_onnx_bytes(std::span<const std::byte> model, const ImportOptions& = {},
                                const std::string& folder = {});
}  // namespace converter
