#include "tests/models/onnx_value.h"
#include <fstream>
#include "converter/onnx_tensor.h"
#include "onnx.pb.h"

namespace test {
using namespace engine;
namespace {
Object from(const onnx::TensorProto& proto) {
  Object object;
  object.assign(converter::TensorReader(nullptr, "").read(proto)->view());
  return object;
}

Object from(const onnx::OptionalProto&, const Type&);
Object from(const onnx::SequenceProto& proto, const Type& type) {
  Object object;
  object.set_empty(ValueKind::sequence, type.dtype);
  for (const auto& x : proto.tensor_values()) object.items.push_back(from(x));
  for (const auto& x : proto.sequence_values()) object.items.push_back(from(x, *type.element));
  for (const auto& x : proto.optional_values()) object.items.push_back(from(x, *type.element));
  require(proto.map_values().empty() && proto.sparse_tensor_values().empty(), Code::unsupported,
          "a sequence of maps or of sparse tensors");
  return object;
}

Object from(const onnx::OptionalProto& proto, const Type& type) {
  Object object;
  object.set_empty(ValueKind::optional, type.dtype);
  if (proto.has_tensor_value()) object.items.push_back(from(proto.tensor_value()));
  if (proto.has_sequence_value()) object.items.push_back(from(proto.sequence_value(), *type.element));
  if (proto.has_optional_value()) object.items.push_back(from(proto.optional_value(), *type.element));
  require(!proto.has_map_value() && !proto.has_sparse_tensor_value(), Code::unsupported,
          "an optional map or sparse tensor");
  return object;
}

template <class Proto> Proto parse(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Proto proto;
  require(file.good() && proto.ParseFromIstream(&file), Code::io, "cannot read ", path);
  return proto;
}

bool is_tensor(const ConstView& x) { return !x.object || x.object->kind == ValueKind::tensor; }

void to(onnx::TensorProto& proto, const ConstView& x) { converter::write_tensor(proto, x); }

void to(onnx::SequenceProto& proto, const ConstView& x) {
  proto.set_elem_type(onnx::SequenceProto::TENSOR);
  for (const Object& item : x.object->items) {
    if (is_tensor(item.view())) to(*proto.add_tensor_values(), item.view());
    else proto.set_elem_type(onnx::SequenceProto::SEQUENCE), to(*proto.add_sequence_values(), item.view());
  }
}

void to(onnx::OptionalProto& proto, const ConstView& x) {
  if (x.object->items.empty()) return proto.set_elem_type(onnx::OptionalProto::UNDEFINED);
  const ConstView value = x.object->items[0].view();
  proto.set_elem_type(is_tensor(value) ? onnx::OptionalProto::TENSOR : onnx::OptionalProto::SEQUENCE);
  if (is_tensor(value)) to(*proto.mutable_tensor_value(), value);
  else to(*proto.mutable_sequence_value(), value);
}

template <class Proto> void write(const std::string& path, const ConstView& x) {
  Proto proto;
  to(proto, x);
  std::ofstream file(path, std::ios::binary);
  require(proto.SerializeToOstream(&file) && file.flush(), Code::io, "cannot write ", path);
}
}  // namespace

Object read_pb(const std::string& path, const Type& type) {
  switch (type.kind) {
    case ValueKind::tensor: return from(parse<onnx::TensorProto>(path));
    case ValueKind::sequence: return from(parse<onnx::SequenceProto>(path), type);
    case ValueKind::optional: return from(parse<onnx::OptionalProto>(path), type);
    case ValueKind::map: break;
  }
  fail(Code::unsupported, path, " holds a map");
}

void write_pb(const std::string& path, const ConstView& x) {
  if (is_tensor(x)) return write<onnx::TensorProto>(path, x);
  if (x.object->kind == ValueKind::sequence) return write<onnx::SequenceProto>(path, x);
  if (x.object->kind == ValueKind::optional) return write<onnx::OptionalProto>(path, x);
  fail(Code::unsupported, path, " would hold a map");
}
}  // namespace test
