// ONNX models as protobuf text, for tests.
#pragma once
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include "converter/onnx.h"
#include "engine/graph_text.h"
#include "onnx.pb.h"

namespace converter::test {
using namespace engine;

// A model of one opset; `graph` is what stands in its GraphProto, `rest` what stands beside it.
inline onnx::ModelProto model(int opset, const std::string& graph, const std::string& rest = {}) {
  onnx::ModelProto model;
  const std::string text = cat("ir_version: 8 opset_import { version: ", opset, " } ", rest, " graph { ", graph, " }");
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &model)) << text;
  return model;
}
// "name: 2,N" → an input of f32[2,N].
inline std::string input(const std::string& name, const std::vector<std::string>& dims,
                         int dtype = onnx::TensorProto::FLOAT) {
  std::string shape;
  for (const std::string& d : dims)
    shape += std::isdigit(d[0]) ? cat("dim { dim_value: ", d, " } ")
             : d == "?"         ? "dim { } "
                                : cat("dim { dim_param: '", d, "' } ");
  return cat("input { name: '", name, "' type { tensor_type { elem_type: ", dtype, " shape { ", shape, "} } } } ");
}
inline std::string output(const std::string& name) { return cat("output { name: '", name, "' } "); }
inline const std::string x23 = input("x", {"2", "3"}), y = output("y");  // in most of the models
inline std::string list(const std::vector<std::string>& names, const char* field) {
  std::string text;
  for (const std::string& n : names) text += cat(field, ": '", n, "' ");
  return text;
}
inline std::string node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs, const std::string& rest = {}) {
  return cat("node { op_type: '", op, "' ", list(inputs, "input"), list(outputs, "output"), rest, " } ");
}
inline std::string attribute(const std::string& name, int64_t value) {
  return cat("attribute { name: '", name, "' type: INT i: ", value, " } ");
}
inline std::string attribute(const std::string& name, int value) { return attribute(name, int64_t{value}); }
inline std::string attribute(const std::string& name, double value) {
  return cat("attribute { name: '", name, "' type: FLOAT f: ", value, " } ");
}
inline std::string attribute(const std::string& name, const char* value) {
  return cat("attribute { name: '", name, "' type: STRING s: '", value, "' } ");
}
inline std::string int_list(const std::string& name, const std::vector<int64_t>& values) {
  std::string text = cat("attribute { name: '", name, "' type: INTS ");
  for (int64_t v : values) text += cat("ints: ", v, ' ');
  return text + "} ";
}
inline std::string body(const std::string& name, const std::string& graph) {
  return cat("attribute { name: '", name, "' type: GRAPH g { ", graph, "} } ");
}
inline std::string ints(const std::string& name, const std::vector<int64_t>& values) {
  std::string text = cat("initializer { name: '", name, "' data_type: 7 dims: ", values.size(), ' ');
  for (int64_t v : values) text += cat("int64_data: ", v, ' ');
  return text + "} ";
}
inline std::string floats(const std::string& name, const std::vector<int64_t>& shape,
                          const std::vector<double>& values) {
  std::string text = cat("initializer { name: '", name, "' data_type: 1 ");
  for (int64_t d : shape) text += cat("dims: ", d, ' ');
  for (double v : values) text += cat("float_data: ", v, ' ');
  return text + "} ";
}

inline Graph import(const onnx::ModelProto& model, const ImportOptions& options = {}) {
  const std::string bytes = model.SerializeAsString();
  Graph graph = import_onnx_bytes(std::as_bytes(std::span(bytes)), options);
  verify(graph);
  return graph;
}
// The graph as text, without types and origins.
inline std::string text(const Graph& graph) {
  std::string out;
  std::istringstream lines(to_text(graph));
  for (std::string line; std::getline(lines, line);) out += line.substr(0, line.find("  # ")) + '\n';
  return out;
}
inline std::string imported(int opset, const std::string& graph) { return text(import(model(opset, graph))); }

// Importing fails with this code, and a message that holds each of these.
inline void expect_error(const onnx::ModelProto& model, Code code, const std::vector<std::string>& parts,
                         const ImportOptions& options = {}) {
  try {
    const Graph graph = import(model, options);
    ADD_FAILURE() << "imported as\n" << to_text(graph);
  } catch (const Error& e) {
    EXPECT_EQ(e.code, code) << e.what();
    for (const std::string& part : parts)
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << "'" << part << "' is not in: " << e.what();
  }
}
}  // namespace converter::test
