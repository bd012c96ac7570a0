// The graph: flat arrays, index handles, no pointers between nodes. Nothing in it depends on a device.
#pragma once
#include "engine/tensor.h"
#include "kernels/precision.h"
#include "schema/op.h"

namespace kernels::image {
struct Preprocess;
}

namespace engine {
using schema::Op, schema::OpId;

enum class ValueId : uint32_t { none = UINT32_MAX };  // none: an optional input that is absent
enum class NodeId : uint32_t { none = UINT32_MAX };
using ValueIds = std::vector<ValueId>;
using Origins = std::vector<std::string>;  // "name (Op)" of each node of the source model that a node stands for

struct Value {
  Type type;
  NodeId producer = NodeId::none;       // none: a graph input or a constant
  std::string name;                     // in the source model; may be empty
  ConstantPtr constant;                 // of a constant
  std::optional<Dims> ints;             // the elements of a small integer tensor, as far as inference knows them
  std::shared_ptr<const kernels::image::Preprocess> image = nullptr;  // of a graph input: how a picture becomes it
};

struct Graph;
struct Node {
  Op op;
  ValueIds inputs, outputs;
  Origins origins;
  std::vector<std::shared_ptr<const Graph>> bodies;  // of If, Loop and Scan; they see nothing but their inputs
};
struct GraphOutput {
  std::string name;
  ValueId value;
};
// An input that is fed from the output of the previous run, unless the caller feeds it.
struct State {
  size_t input, output;
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;  // in execution order
  ValueIds inputs;
  std::vector<GraphOutput> outputs;
  std::vector<State> states;
  kernels::Precision precision = kernels::Precision::f32;  // what a device may round to (CompileOptions::precision) where a run does not say

  Value& operator[](ValueId v) { return values[static_cast<size_t>(v)]; }
  const Value& operator[](ValueId v) const { return values[static_cast<size_t>(v)]; }
  Node& operator[](NodeId n) { return nodes[static_cast<size_t>(n)]; }
  const Node& operator[](NodeId n) const { return nodes[static_cast<size_t>(n)]; }
  ValueId add_input(std::string name, Type type);
  ValueId add_constant(ConstantPtr, std::string name = {});
};

Types types_of(const Graph&, std::span<const ValueId>);
Types input_types(const Graph&);
Types output_types(const Graph&);

// "conv1 (Conv), relu1 (Relu)": what errors, profiles and plans call a node.
std::string to_text(const Origins&);
// The op with the fields that are not at their default: "Conv stride=2,2 groups=4".
std::string to_text(const Op&);

// Throws unless every handle is in range, every value is defined once and before its use, every type is the one its
// op infers, every node has an origin, and every body is itself valid.
void verify(const Graph&);

// The only way to change the nodes of a graph. A NodeId is valid until commit(), a ValueId for the life of the graph.
class Rewriter {
 public:
  explicit Rewriter(Graph& graph) : graph(graph) {}

  // Appends a node, infers its types, and returns its outputs. `outputs`: how many of them are wanted.
  ValueIds add(Op op, ValueIds inputs, Origins origins, size_t outputs = 1,
               std::vector<std::shared_ptr<const Graph>> bodies = {});

  // Appends a node of another graph as it is there: `inputs` have the types of its own, so its outputs do.
  ValueIds copy(const Graph& from, const Node& node, ValueIds inputs);

  // Makes every use of `from` a use of `to`, whose type must describe it; to's producer takes over the origins of from's. Between the
  // first replacement and commit(), inputs of nodes change by this function and add() alone.
  void replace(ValueId from, ValueId to);

  // Drops the nodes that no output needs, and restores execution order. True if anything changed.
  bool commit();

  Graph& graph;

 private:
  // Of a value, the nodes that read it, as a list through all uses there are; from the first replacement on.
  struct Use {
    NodeId node;
    uint32_t next;
  };
  static constexpr uint32_t no_use = UINT32_MAX;
  void add_uses(NodeId);
  ValueIds append(Node, Types);
  ValueId resolve(ValueId) const;
  std::vector<Use> uses_;
  std::vector<uint32_t> first_use_;  // by value
  std::vector<ValueId> replaced_;    // by value, what stands for it; none: itself
  bool changed_ = false;
};
}  // namespace engine
