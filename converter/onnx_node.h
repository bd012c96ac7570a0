// One ONNX node, as the functions that import it see it, and the table that says which function that is.
#pragma once
#include <initializer_list>
#include "engine/op.h"

namespace onnx {
class AttributeProto;
class NodeProto;
}  // namespace onnx

namespace converter {
using namespace engine;
class Importer;
struct Scope;

// A body of an If, Loop or Scan. Its last inputs are its captures.
struct Body {
  Graph graph;
  ValueIds captures;  // the values around the node that the body reads
};

class OnnxNode {
 public:
  OnnxNode(Importer&, Scope&, const onnx::NodeProto&, int opset, ValueIds inputs);

  const std::string& op_type() const;
  std::string domain() const;  // "" for ONNX's own
  int opset() const { return opset_; }  // the version of the op's domain that the model asks for

  // Attributes. Each has the fallback's type, or is an error; without a fallback it must be there.
  bool has_attribute(std::string_view name);
  int64_t integer(std::string_view name, std::optional<int64_t> fallback = {});
  bool flag(std::string_view name, bool fallback) { return integer(name, fallback) != 0; }
  double real(std::string_view name, std::optional<double> fallback = {});
  std::string text(std::string_view name, std::optional<std::string> fallback = {});
  schema::Ints integers(std::string_view name);  // empty if absent
  std::vector<double> reals(std::string_view name);
  schema::Strings texts(std::string_view name);
  ConstantPtr tensor(std::string_view name);     // null if absent
  std::optional<Type> type_attribute(std::string_view name);
  template <class E>
  E choice(std::string_view name, const char* fallback, std::initializer_list<std::pair<const char*, E>> rows) {
    const std::string given = text(name, fallback);
    for (const auto& [spelling, value] : rows)
      if (given == spelling) return value;
    fail(Code::unsupported, "attribute ", name, " '", given, "' is not supported");
  }
  schema::Attributes attributes();  // all of them; a tensor, a graph or a type is an error
  // Attributes that do not change the result. An attribute that nobody asked for is an error.
  void ignore(std::initializer_list<std::string_view> names);
  void check_attributes() const;

  // Inputs. An absent one is ValueId::none.
  size_t inputs() const { return inputs_.size(); }
  ValueId in(size_t k) const { return k < inputs_.size() ? inputs_[k] : ValueId::none; }
  bool has(size_t k) const { return in(k) != ValueId::none; }
  const ValueIds& all() const { return inputs_; }
  ValueIds from(size_t k) const { return ValueIds(inputs_.begin() + std::min(k, inputs_.size()), inputs_.end()); }
  void expect_inputs(size_t least, size_t most) const;
  void expect_dtype(size_t k, std::initializer_list<DType>) const;

  // What is known of a value.
  const Type& type(ValueId) const;
  const Type& type(size_t k) const { return type(need(k)); }
  DType dtype(size_t k) const { return type(k).dtype; }
  int64_t rank(ValueId) const;  // throws if it is not known
  int64_t rank(size_t k) const { return rank(need(k)); }
  int64_t extent(ValueId, int64_t axis) const;  // throws if it is not known
  ConstantPtr constant(ValueId) const;  // null if it is none
  std::optional<std::vector<int64_t>> known_ints(ValueId) const;
  std::optional<Dims> known_sizes(ValueId) const;  // the same, where elements may be symbols
  std::optional<double> known_scalar(ValueId) const;  // of a constant with one element
  bool empty_constant(size_t k) const;  // absent, or a tensor without elements

  // Outputs: how many there are, up to the last that anyone reads.
  size_t outputs() const;
  bool wants(size_t k) const;
  std::optional<Type> declared_output(size_t k);  // what the model says of its type
  void set(size_t k, ValueId);
  void set_all(const ValueIds&);  // of which the last need not be wanted

  // Builds. Every node gets this node as its origin.
  ValueIds add_all(Op, ValueIds inputs, size_t outputs, std::vector<std::shared_ptr<const Graph>> bodies = {});
  ValueId add(Op op, ValueIds inputs) { return add_all(std::move(op), std::move(inputs), 1)[0]; }
  void finish(Op, ValueIds inputs, std::vector<std::shared_ptr<const Graph>> bodies = {});  // sets every output
  ValueId constant(ConstantPtr);
  Origins origins() const;
  ValueId ints(std::span<const int64_t> values);  // i64 [n]
  ValueId ints(std::initializer_list<int64_t> values) { return ints(std::span(values.begin(), values.size())); }
  ValueId scalar(DType, double value);
  ValueId scalar_like(ValueId like, double value) { return scalar(type(like).dtype, value); }
  ValueId unary(schema::UnaryKind, ValueId x, double a = 0, double b = 0);
  ValueId binary(schema::BinaryKind, ValueId x, ValueId y);
  ValueId binary(schema::BinaryKind kind, ValueId x, double y) { return binary(kind, x, scalar_like(x, y)); }
  ValueId cast(ValueId x, DType);  // x itself, if it has that dtype
  ValueId transpose(ValueId x, schema::Ints perm);
  ValueId reshape(ValueId x, std::initializer_list<int64_t> shape) { return add(schema::Reshape{}, {x, ints(shape)}); }
  ValueId extent_at_run(ValueId, int64_t axis);  // i64 scalar
  ValueId positions(ValueId, int64_t axis);      // 0, 1, … along one dim: i64 [n]
  ValueId reduce(schema::ReduceKind, ValueId x, std::span<const int64_t> axes, bool keepdims = true);
  ValueId unsqueeze(ValueId x, std::initializer_list<int64_t> axes) {
    return add(schema::Unsqueeze{}, {x, ints(axes)});
  }

  // Bodies.
  size_t body_inputs(std::string_view attribute);
  size_t body_outputs(std::string_view attribute);
  Types body_types(std::string_view attribute);  // what the body declares of its inputs; f32 of any rank, where it does not
  // Imports a body whose own inputs have these types.
  Body body(std::string_view attribute, const Types& inputs);
  // Imports a body in place of the node: its own inputs are these values.
  ValueIds inline_body(std::string_view attribute, const ValueIds& inputs);

 private:
  const onnx::AttributeProto* find(std::string_view name);
  // The attribute, if present; checks its type.
  const onnx::AttributeProto* find(std::string_view name, int type, bool required);
  ValueId need(size_t k) const;

  Importer& importer_;
  Scope& scope_;
  const onnx::NodeProto& node_;
  int opset_;
  ValueIds inputs_;
  std::vector<bool> read_;  // per attribute
};

struct Row {
  std::string_view op_type;
  void (*import)(OnnxNode&);
};
// The rows of one file, and the domain they belong to.
struct Group {
  std::string_view domain;
  std::span<const Row> rows;
};
inline constexpr std::string_view onnx_domain = "", ml_domain = "ai.onnx.ml", microsoft_domain = "com.microsoft",
                                  preview_domain = "ai.onnx.preview", training_domain = "ai.onnx.preview.training";
Group elementwise_group(), quantise_group(), matmul_group(), conv_group(), reduce_group(), norm_group(), shape_group(),
    index_group(), resize_group(), recurrent_group(), control_group(), sequence_group(), attention_group(),
    loss_group(), random_group(), signal_group(), legacy_group(), ml_features_group(), ml_models_group(), ml_trees_group(),
    preview_group(), training_group(), contrib_group(), contrib_attention_group(), generation_group(), quantise_contrib_group(),
    contrib_default_group();
const std::vector<Group>& groups();  // all of these
void import_custom(OnnxNode&);  // for what is in no row
const Row* find_row(const std::string& domain, const std::string& op_type);
}  // namespace converter
