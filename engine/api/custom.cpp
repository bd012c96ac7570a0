// Custom ops behind the C ABI: what a node shows to the app's functions.
#include <algorithm>
#include "engine/api/api.h"
#include "engine/custom.h"

using namespace engine;
using namespace engine::api;

struct inlay_node {
  const schema::Custom& op;
  std::span<const Type> inputs;   // of infer
  Types* types = nullptr;         // of infer
  RunContext* run = nullptr;      // of compute
  std::string message;
  mutable std::vector<Shape> shapes = {};  // that tensors given to infer point to
};

namespace {
constexpr inlay_tensor absent{nullptr, nullptr, 0, -1};

// Types of the outputs that `infer` says nothing of.
Types declared(const schema::Custom& op) {
  Types types;
  for (DType dtype : op.outputs) types.push_back(Type::unranked(dtype));
  return types;
}

void check_status(const inlay_node& node, inlay_status status) {
  if (status == INLAY_OK) return;
  const bool known = status > INLAY_OK && status <= INLAY_DEVICE_FAILED;
  fail(known ? Code(status) : Code::internal, node.message.empty() ? "the custom op failed without a message" : node.message);
}

CustomOp custom_op(const inlay_custom_op& given) {
  require_given(given.domain, "custom_ops[].domain"), require_given(given.name, "custom_ops[].name");
  require(given.compute, Code::invalid_argument, "custom op '", given.name, "' has no compute function");
  CustomOp op{given.domain, given.name, nullptr, nullptr};
  if (given.infer)
    op.infer = [f = given.infer, user = given.user](const schema::Custom& custom, std::span<const Type> inputs) {
      Types types = declared(custom);
      inlay_node node{custom, inputs, &types, nullptr, {}};
      check_status(node, f(user, &node));
      return types;
    };
  op.run = [f = given.compute, user = given.user](const schema::Custom& custom, RunContext& c) {
    inlay_node node{custom, {}, nullptr, &c, {}};
    check_status(node, f(user, &node));
  };
  return op;
}

const schema::Attribute* find(const inlay_node& node, std::string_view name) {
  const auto at = std::ranges::find(node.op.attributes, name, &schema::Attribute::name);
  return at == node.op.attributes.end() ? nullptr : &*at;
}
const schema::Attribute& attribute(const inlay_node* node, const char* name) {
  require_given(node, "node"), require_given(name, "name");
  const schema::Attribute* a = find(*node, name);
  require(a, Code::invalid_argument, "there is no attribute '", name, "'");
  return *a;
}
template <class T> const T& attribute(const inlay_node* node, const char* name, const char* kind) {
  const T* value = std::get_if<T>(&attribute(node, name).value);
  require(value, Code::invalid_argument, "attribute '", name, "' is not ", kind);
  return *value;
}

template <class T> inlay_status list(const inlay_node* node, const char* name, const char* kind, const T** values, size_t* count) {
  return guarded([&] {
    require_given(values, "values"), require_given(count, "count");
    const auto& all = attribute<std::vector<T>>(node, name, kind);
    *values = all.data(), *count = all.size();
  });
}

Shape checked_shape(const int64_t* shape, int32_t rank, int64_t least) {
  require(rank >= 0 && rank <= limits::rank, Code::invalid_argument, "rank ", rank, " is not in 0..", limits::rank);
  require(shape || !rank, Code::invalid_argument, "'shape' is NULL");
  Shape extents(shape, shape + rank);
  for (int64_t extent : extents) require(extent >= least, Code::invalid_argument, "negative extent ", extent);
  return extents;
}
}  // namespace

std::shared_ptr<const CustomOpSet> engine::api::custom_ops(std::span<const inlay_custom_op* const> given) {
  std::vector<CustomOp> ops;
  for (const inlay_custom_op* op : given) {
    require_given(op, "custom_ops[]");
    ops.push_back(custom_op(read_options(op, INLAY_SIZE_UP_TO(inlay_custom_op, compute), "inlay_custom_op")));
  }
  return ops.empty() ? nullptr : make_custom_ops(std::move(ops));
}

size_t inlay_node_input_count(const inlay_node* node) { return !node ? 0 : node->run ? node->run->inputs() : node->inputs.size(); }
size_t inlay_node_output_count(const inlay_node* node) { return node ? node->op.outputs.size() : 0; }

inlay_status inlay_node_input(const inlay_node* node, size_t index, inlay_tensor* tensor) {
  return guarded([&] {
    require_given(node, "node"), require_given(tensor, "tensor");
    require(index < inlay_node_input_count(node), Code::invalid_argument, "there is no input ", index, "; the node has ",
            inlay_node_input_count(node));
    if (node->run) {
      if (!node->run->has(index)) return void(*tensor = absent);
      const ConstView& in = node->run->in(index);
      require(in.dtype != DType::string && (!in.object || in.object->kind == ValueKind::tensor), Code::unsupported, "input ", index,
              " is not a tensor of numbers");
      return void(*tensor = tensor_of(in));
    }
    const Type& type = node->inputs[index];
    if (is_absent(type)) return void(*tensor = absent);
    require(type.is_tensor() && type.dtype != DType::string, Code::unsupported, "input ", index, " is ", type,
            ", not a tensor of numbers");
    node->shapes.resize(node->inputs.size());
    Shape& shape = node->shapes[index];
    shape.clear();
    for (const Dim& dim : type.dims) shape.push_back(dim.known() ? dim.value() : -1);
    *tensor = {nullptr, shape.data(), type.ranked ? int32_t(shape.size()) : -1, inlay_dtype(type.dtype)};
  });
}

inlay_status inlay_node_set_type(inlay_node* node, size_t index, inlay_dtype dtype, const int64_t* shape, int32_t rank) {
  return guarded([&] {
    require_given(node, "node");
    require(node->types, Code::invalid_argument, "types are set in infer only");
    require(index < node->types->size(), Code::invalid_argument, "there is no output ", index);
    Type type = Type::unranked(dtype_of(dtype));
    if (rank != -1) {
      type.ranked = true;
      for (int64_t extent : checked_shape(shape, rank, -1)) type.dims.push_back(extent < 0 ? Dim::unknown() : Dim(extent));
    }
    (*node->types)[index] = std::move(type);
  });
}

inlay_status inlay_node_output(inlay_node* node, size_t index, inlay_dtype dtype, const int64_t* shape, int32_t rank,
                               inlay_tensor* tensor) {
  return guarded([&] {
    require_given(node, "node"), require_given(tensor, "tensor");
    require(node->run, Code::invalid_argument, "outputs are made in compute only");
    require(index < node->run->outputs(), Code::invalid_argument, "there is no output ", index);
    const Shape extents = checked_shape(shape, rank, 0);
    if (!node->run->wants(index)) return void(*tensor = absent);
    require(dtype_of(dtype) != DType::string, Code::unsupported, "output ", index, " is a tensor of strings");
    *tensor = tensor_of(node->run->set_out(index, dtype_of(dtype), extents));
  });
}

size_t inlay_node_attribute_count(const inlay_node* node, const char* name) {
  const schema::Attribute* a = node && name ? find(*node, name) : nullptr;
  if (!a) return 0;
  return std::visit([]<class T>(const T& value) -> size_t {
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) return 1;
    else return value.size();
  }, a->value);
}

inlay_status inlay_node_int(const inlay_node* node, const char* name, int64_t* value) {
  return guarded([&] { require_given(value, "value"), *value = attribute<int64_t>(node, name, "an integer"); });
}
inlay_status inlay_node_float(const inlay_node* node, const char* name, double* value) {
  return guarded([&] { require_given(value, "value"), *value = attribute<double>(node, name, "a number"); });
}
inlay_status inlay_node_ints(const inlay_node* node, const char* name, const int64_t** values, size_t* count) {
  return list(node, name, "a list of integers", values, count);
}
inlay_status inlay_node_floats(const inlay_node* node, const char* name, const double** values, size_t* count) {
  return list(node, name, "a list of numbers", values, count);
}

inlay_status inlay_node_string(const inlay_node* node, const char* name, size_t index, const char** value, size_t* length) {
  return guarded([&] {
    require_given(value, "value");
    const schema::Attribute& a = attribute(node, name);
    const auto* one = std::get_if<std::string>(&a.value);
    const auto* list = std::get_if<schema::Strings>(&a.value);
    require(one || list, Code::invalid_argument, "attribute '", name, "' is not a string");
    const size_t count = one ? 1 : list->size();
    require(index < count, Code::invalid_argument, "there is no string ", index, " in attribute '", name, "', which has ", count);
    const std::string& text = one ? *one : (*list)[index];
    *value = text.c_str();
    if (length) *length = text.size();
  });
}

inlay_status inlay_node_fail(inlay_node* node, inlay_status status, const char* message) {
  guarded([&] {
    require_given(node, "node"), require_given(message, "message");
    node->message = message;
  });
  return status;
}
