// The walk over an ONNX model: scopes of names, bodies and their captures, functions, and the list of errors.
#pragma once
#include <set>
#include <unordered_map>
#include <unordered_set>
#include "converter/onnx.h"
#include "converter/onnx_node.h"
#include "converter/onnx_tensor.h"
#include "onnx.pb.h"

namespace converter {
using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
using ValueInfos = google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>;
using Opsets = std::map<std::string, int>;  // version by domain
using Attributes = std::map<std::string, const onnx::AttributeProto*, std::less<>>;

inline constexpr int newest_opset = 28;  // of ONNX's own domain

// A graph in the making: the model's, or a body's.
struct Builder {
  Graph graph;
  Rewriter rewriter{graph};
  std::set<ValueId> failed;  // stand for what could not be imported, or depend on such a value
  std::vector<std::pair<ValueId, ValueId>> captures;  // a value of the graph around, and the input that it is here
};

// What names mean at a place in the model.
struct Scope {
  Builder& builder;
  Scope* outer;  // of a body: where names that it does not define are looked up
  const Opsets& opsets;
  const Attributes* call = nullptr;  // in a function: the attributes of the call
  std::string prefix = {};           // in a function: the path of calls, for origins
  int nesting = 0;
  std::unordered_map<std::string, ValueId> names = {};
  std::vector<const ValueInfos*> declared = {};  // what the model says of the types of values
  std::optional<std::unordered_map<std::string_view, const onnx::TypeProto*>> declared_types = {};  // the same by name
};
// What the model says of a value that the scope defines; null: nothing.
const onnx::TypeProto* declared_type(Scope&, const std::string& name);

class Importer {
 public:
  Importer(std::shared_ptr<const onnx::ModelProto>, const ImportOptions&, const std::string& folder);
  Graph run();

  Body import_body(Scope& outer, const onnx::GraphProto&, const Types& inputs);
  ValueIds inline_body(Scope& outer, const onnx::GraphProto&, const ValueIds& inputs);
  TensorReader tensors;

 private:
  void read_functions();
  void add_inputs(Scope&, const onnx::GraphProto&);
  void add_initializers(Scope&, const onnx::GraphProto&);
  void import_nodes(Scope&, const Nodes&, bool report_progress = false);
  void import_node(Scope&, const onnx::NodeProto&);
  void convert_node(Scope&, const onnx::NodeProto&, ValueIds inputs);
  void call_function(Scope&, const onnx::NodeProto&, const onnx::FunctionProto&, const ValueIds& inputs);
  ValueIds graph_outputs(Scope&, const onnx::GraphProto&);
  static std::optional<ValueId> find(Scope&, const std::string& name);
  static void define(Scope&, const std::string& name, ValueId);
  void record(const Scope&, const onnx::NodeProto&, Code, std::string reason);
  void fail_outputs(Scope&, const onnx::NodeProto&, const ValueIds& inputs);

  std::shared_ptr<const onnx::ModelProto> model_;
  const ImportOptions& options_;
  struct Function {
    const onnx::FunctionProto* proto;
    Opsets opsets;
  };
  std::map<std::string, Function> functions_;  // by domain, name and overload
  std::vector<const onnx::FunctionProto*> calls_;
  std::vector<std::string> errors_;
  std::unordered_set<std::string> known_errors_;
  std::optional<Code> code_;  // of the first error that is not `unsupported`
  int64_t nodes_ = 0;
  bool inputs_failed_ = false;  // of the node at hand: so are those of its bodies
};

// "name (Op)", with the name of its first output if it has none of its own.
std::string origin_of(const Scope&, const onnx::NodeProto&);
// The nodes in an order in which every value is defined before its use. Throws if there is none.
std::vector<int> execution_order(const Nodes&);
}  // namespace converter
