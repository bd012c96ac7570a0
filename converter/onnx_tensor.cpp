#include "converter/onnx_tensor.h"
#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include "kernels/os.h"
#include "onnx.pb.h"

namespace converter {
using namespace engine;
namespace {
using onnx::TensorProto;
constexpr int64_t shared_bytes = 4096;  // smaller constants are copied, so that they do not keep the model alive

struct DTypeRow {
  TensorProto::DataType onnx;
  DType dtype;
};
constexpr DTypeRow dtypes[] = {  // of every one that the engine has
    {TensorProto::FLOAT, DType::f32}, {TensorProto::UINT8, DType::u8}, {TensorProto::INT8, DType::i8},
    {TensorProto::UINT16, DType::u16}, {TensorProto::INT16, DType::i16}, {TensorProto::INT32, DType::i32},
    {TensorProto::INT64, DType::i64}, {TensorProto::STRING, DType::string}, {TensorProto::BOOL, DType::boolean},
    {TensorProto::FLOAT16, DType::f16}, {TensorProto::DOUBLE, DType::f64}, {TensorProto::UINT32, DType::u32},
    {TensorProto::UINT64, DType::u64}, {TensorProto::BFLOAT16, DType::bf16},
    {TensorProto::FLOAT8E4M3FN, DType::f8e4m3fn}, {TensorProto::FLOAT8E4M3FNUZ, DType::f8e4m3fnuz},
    {TensorProto::FLOAT8E5M2, DType::f8e5m2}, {TensorProto::FLOAT8E5M2FNUZ, DType::f8e5m2fnuz},
    {TensorProto::UINT4, DType::u4}, {TensorProto::INT4, DType::i4}, {TensorProto::FLOAT4E2M1, DType::f4e2m1},
    {TensorProto::FLOAT8E8M0, DType::f8e8m0}, {TensorProto::UINT2, DType::u2}, {TensorProto::INT2, DType::i2}};
}  // namespace

DType dtype_of(int32_t onnx_data_type) {
  for (const DTypeRow& row : dtypes)
    if (row.onnx == onnx_data_type) return row.dtype;
  require(onnx_data_type != TensorProto::UNDEFINED, Code::invalid_model, "a data type is missing");
  const bool named = TensorProto::DataType_IsValid(onnx_data_type);
  fail(Code::unsupported, "data type ",
       named ? TensorProto::DataType_Name(TensorProto::DataType(onnx_data_type)) : std::to_string(onnx_data_type),
       " is not supported");
}

int32_t onnx_dtype(DType dtype) { return std::ranges::find(dtypes, dtype, &DTypeRow::dtype)->onnx; }

DType dtype_named(const std::string& onnx_name) {
  TensorProto::DataType type;
  require(TensorProto::DataType_Parse(onnx_name, &type), Code::invalid_model, "'", onnx_name, "' is not a data type");
  return dtype_of(type);
}

namespace {
Type read_type(const onnx::TypeProto& proto, const std::string& name, int nesting) {
  require(nesting < limits::nesting, Code::limit, "types nest more than ", limits::nesting, " deep");
  switch (proto.value_case()) {
    case onnx::TypeProto::kTensorType: {
      const auto& tensor = proto.tensor_type();
      const DType dtype = dtype_of(tensor.elem_type());
      if (!tensor.has_shape()) return Type::unranked(dtype);
      require(tensor.shape().dim_size() <= limits::rank, Code::limit, "rank ", tensor.shape().dim_size(),
              " is higher than ", limits::rank);
      Dims dims;
      for (const auto& dim : tensor.shape().dim()) {
        const bool known = dim.has_dim_value() && dim.dim_value() > 0;
        require(!known || dim.dim_value() <= limits::extent, Code::limit, "extent ", dim.dim_value(),
                " is larger than ", limits::extent);
        if (known) dims.push_back(dim.dim_value());
        else if (nesting) dims.push_back(Dim::unknown());
        else dims.push_back(Dim::symbol(!dim.dim_param().empty() ? dim.dim_param() : cat(name, "_dim_", dims.size())));
      }
      return Type::tensor(dtype, std::move(dims));
    }
    case onnx::TypeProto::kSequenceType:
      return Type::sequence(read_type(proto.sequence_type().elem_type(), name, nesting + 1));
    case onnx::TypeProto::kOptionalType:
      return Type::optional(read_type(proto.optional_type().elem_type(), name, nesting + 1));
    case onnx::TypeProto::kMapType: {
      Type type;
      type.kind = ValueKind::map;
      type.key = dtype_of(proto.map_type().key_type());
      type.dtype = read_type(proto.map_type().value_type(), name, nesting + 1).dtype;
      return type;
    }
    case onnx::TypeProto::kSparseTensorType: fail(Code::unsupported, "sparse tensors are not supported");
    case onnx::TypeProto::VALUE_NOT_SET: break;
  }
  fail(Code::invalid_model, "its type is missing");
}

// The typed fields of a tensor that has no raw data.
void read_fields(const TensorProto& proto, const View& to) {
  const auto expect = [&](int64_t count, int64_t wanted) {
    require(count == wanted, Code::invalid_model, "it has ", count, " elements instead of ", wanted);
  };
  const int64_t n = to.elements();
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
      expect(proto.float_data_size(), n);
      std::ranges::copy(proto.float_data(), to.as<float>().begin());
      return;
    case TensorProto::DOUBLE:
      expect(proto.double_data_size(), n);
      std::ranges::copy(proto.double_data(), to.as<double>().begin());
      return;
    case TensorProto::INT64:
      expect(proto.int64_data_size(), n);
      std::ranges::copy(proto.int64_data(), to.as<int64_t>().begin());
      return;
    case TensorProto::UINT32: case TensorProto::UINT64:
      expect(proto.uint64_data_size(), n);
      for (int64_t i = 0; i < n; ++i) store(to, i, UInt(proto.uint64_data(int(i))));
      return;
    case TensorProto::STRING:
      expect(proto.string_data_size(), n);
      std::ranges::copy(proto.string_data(), to.as<std::string>().begin());
      return;
    default: break;
  }
  // An entry of int32_data holds one element's bits, or one byte of packed elements.
  const int bytes = std::max(8, bits_of(to.dtype)) / 8;
  expect(int64_t{proto.int32_data_size()} * bytes, to.bytes());
  for (int i = 0; i < proto.int32_data_size(); ++i) {
    const int32_t bits = proto.int32_data(i);
    std::memcpy(to.data + int64_t{i} * bytes, &bits, bytes);  // little-endian
  }
}

void normalise_booleans(const View& view) {
  if (view.dtype == DType::boolean)
    for (uint8_t& b : view.as<uint8_t>()) b = b != 0;
}

bool aligned(const void* data, DType dtype) {
  return reinterpret_cast<uintptr_t>(data) % std::max(1, bits_of(dtype) / 8) == 0;
}

ConstantPtr copied(DType dtype, const Shape& shape, const std::byte* data, int64_t bytes) {
  Object object;
  const View view = object.set_tensor(dtype, shape);
  if (bytes > 0) std::memcpy(view.data, data, bytes);
  normalise_booleans(view);
  return make_constant(std::as_const(object).view());
}
}  // namespace

Type type_of(const onnx::TypeProto& proto, const std::string& name) { return read_type(proto, name, 0); }

void write_tensor(TensorProto& proto, const ConstView& x) {
  proto.set_data_type(onnx_dtype(x.dtype));
  for (int64_t d : x.shape) proto.add_dims(d);
  if (x.dtype != DType::string) return proto.set_raw_data(x.data, size_t(x.bytes()));
  for (const std::string& s : x.as<std::string>()) proto.add_string_data(s);
}

struct TensorReader::File {
  kernels::os::Memory memory;
};

ConstantPtr TensorReader::read(const TensorProto& proto) {
  return with_context([&]() -> ConstantPtr {
    const DType dtype = dtype_of(proto.data_type());
    require(proto.dims_size() <= limits::rank, Code::limit, "rank ", proto.dims_size(), " is higher than ",
            limits::rank);
    require(!proto.has_segment(), Code::unsupported, "tensors in segments are not supported");
    Shape shape(proto.dims().begin(), proto.dims().end());
    const int64_t bytes = bytes_of(dtype, shape);
    if (proto.data_location() == TensorProto::EXTERNAL) return read_external(proto, dtype, std::move(shape), bytes);
    if (proto.has_raw_data() && dtype != DType::string) {
      const auto* data = reinterpret_cast<const std::byte*>(proto.raw_data().data());
      require(int64_t(proto.raw_data().size()) == bytes, Code::invalid_model, "it has ", proto.raw_data().size(),
              " bytes where ", name(dtype), shape, " takes ", bytes);
      if (bytes >= shared_bytes && dtype != DType::boolean && aligned(data, dtype))
        return std::make_shared<Constant>(Constant{dtype, std::move(shape), data, model_, nullptr});
      return copied(dtype, shape, data, bytes);
    }
    // Fields take at least a byte per element, or per byte of packed elements, which bounds what is allocated.
    const int64_t present = int64_t{proto.float_data_size()} + proto.double_data_size() + proto.int64_data_size() +
                            proto.uint64_data_size() + proto.string_data_size() + proto.int32_data_size();
    require(present > 0 || engine::elements(shape) == 0, Code::invalid_model, "it has no data");
    require(engine::elements(shape) <= present * (8 / std::min(8, bits_of(dtype))), Code::invalid_model, "it has ",
            present, " elements instead of ", engine::elements(shape));
    Object object;
    const View view = object.set_tensor(dtype, shape);
    read_fields(proto, view);
    normalise_booleans(view);
    return make_constant(std::as_const(object).view());
  }, "tensor '", proto.name(), "'");
}

std::shared_ptr<const TensorReader::File> TensorReader::open(const std::string& location) {
  namespace fs = std::filesystem;
  if (const auto known = files_.find(location); known != files_.end()) return known->second;
  require(!folder_.empty(), Code::invalid_argument, "external data '", location, "' need the folder of the model");
  const fs::path relative(location);
  require(!location.empty() && relative.is_relative() && std::ranges::find(relative, "..") == relative.end() &&
              location.find('\0') == std::string::npos,
          Code::invalid_model, "external data '", location, "' may not leave the model's folder");
  std::error_code error;
  const fs::path folder = fs::canonical(folder_, error);
  require(!error, Code::io, "folder ", folder_, ": ", error.message());
  const fs::path path = fs::canonical(folder / relative, error);
  require(!error, Code::io, "external data '", location, "': ", error.message());
  const auto [end, _] = std::ranges::mismatch(folder, path);
  require(end == folder.end(), Code::invalid_model, "external data '", location, "' may not leave the model's folder");
  require(fs::is_regular_file(path, error), Code::invalid_model, "external data '", location, "' is not a file");
  auto file = std::make_shared<File>();
  const auto status = kernels::os::Memory::map_file(path.string(), file->memory);
  require(status.ok(), Code::io, "external data '", location, "': ", status.message);
  return files_.emplace(location, std::move(file)).first->second;
}

ConstantPtr TensorReader::read_external(const TensorProto& proto, DType dtype, Shape shape, int64_t bytes) {
  require(dtype != DType::string, Code::invalid_model, "strings cannot be external data");
  std::string location;
  int64_t offset = 0, length = bytes;
  const auto number = [](const onnx::StringStringEntryProto& entry) {
    int64_t value = -1;
    const std::string& text = entry.value();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    require(error == std::errc() && end == text.data() + text.size() && value >= 0, Code::invalid_model,
            "external data: ", entry.key(), " '", text, "' is not a size");
    return value;
  };
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    else if (entry.key() == "offset") offset = number(entry);
    else if (entry.key() == "length") length = number(entry);
  }
  require(length == bytes, Code::invalid_model, "its external data have ", length, " bytes where ", name(dtype),
          to_text(shape), " takes ", bytes);
  const auto file = open(location);
  const int64_t size = int64_t(file->memory.size());
  require(offset <= size && bytes <= size - offset, Code::invalid_model, "external data '", location, "' end at byte ",
          size, ", before ", offset, " + ", bytes);
  const std::byte* data = file->memory.data() + offset;
  if (bytes < shared_bytes || dtype == DType::boolean || !aligned(data, dtype))
    return copied(dtype, shape, data, bytes);
  return std::make_shared<Constant>(Constant{dtype, std::move(shape), data, file, &file->memory});
}
}  // namespace converter
