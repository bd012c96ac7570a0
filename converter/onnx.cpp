#include "converter/onnx.h"
#include <google/protobuf/io/coded_stream.h>
#include <filesystem>
#include "converter/importer.h"
#include "kernels/os.h"

namespace converter {
Graph import_onnx_bytes(std::span<const std::byte> bytes, const ImportOptions& options, const std::string& folder) {
  require(bytes.size() < (size_t{2} << 30), Code::limit, "the model takes ", bytes.size(),
          " bytes, and protobuf holds less than 2 GiB: such models keep their weights in external data");
  const auto model = std::make_shared<onnx::ModelProto>();
  {
    const google::protobuf::LogSilencer silence;
    google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()), int(bytes.size()));
    in.SetRecursionLimit(4 * limits::nesting);  // a body is a message in an attribute in a node in a graph
    require(model->ParseFromCodedStream(&in) && in.ConsumedEntireMessage(), Code::invalid_model,
            "not an ONNX model: malformed, truncated or too deeply nested protobuf");
  }
  require(model->has_graph(), Code::invalid_model, "not an ONNX model: it has no graph");
  return Importer(model, options, folder).run();
}

Graph import_onnx(const std::string& path, const ImportOptions& options) {
  namespace fs = std::filesystem;
  kernels::os::Memory file;
  const auto status = kernels::os::Memory::map_file(path, file);
  require(status.ok(), Code::io, status.message);
  const std::string folder = fs::path(path).parent_path().string();
  return with_context([&] {
    return import_onnx_bytes({file.data(), file.size()}, options, folder.empty() ? "." : folder);
  }, path);
}
}  // namespace converter
