#include <cstdio>
#include <new>
#include "engine/api/api.h"

namespace engine::api {
namespace {
thread_local char last_message[2048];
}

inlay_status failed(Code code, const char* message) noexcept {
  std::snprintf(last_message, sizeof last_message, "%s", message);
  return static_cast<inlay_status>(code);
}

inlay_status caught() noexcept {
  try {
    throw;
  } catch (const Error& e) {
    return failed(e.code, e.what());
  } catch (const std::bad_alloc&) {
    return failed(Code::out_of_memory, "out of memory");
  } catch (const std::exception& e) {
    return failed(Code::internal, e.what());
  } catch (...) {
    return failed(Code::internal, "an exception of unknown type");
  }
}

DType dtype_of(inlay_dtype dtype) {
  require(dtype >= 0 && size_t(dtype) < schema::names<DType>.size(), Code::invalid_argument, "there is no dtype ", dtype);
  return DType(dtype);
}

ConstView view_of(const inlay_tensor* tensor, const char* name) {
  require_given(tensor, name);
  const DType dtype = dtype_of(tensor->dtype);
  require(tensor->rank >= 0 && tensor->rank <= limits::rank, Code::invalid_argument, "rank ", tensor->rank, " of '", name,
          "' is not in 0..", limits::rank);
  require(tensor->shape || !tensor->rank, Code::invalid_argument, "'", name, "' has no shape");
  const std::span shape(tensor->shape, size_t(tensor->rank));
  for (int64_t extent : shape)
    require(extent >= 0, Code::invalid_argument, "'", name, "' has a negative extent: ", shape);
  bytes_of(dtype, shape);  // throws if it is too large
  return {dtype, shape, static_cast<const std::byte*>(tensor->data), nullptr};
}

inlay_tensor tensor_of(const ConstView& v) {
  void* data = v.dtype == DType::string ? nullptr : const_cast<std::byte*>(v.data);
  return {data, v.shape.data(), int32_t(v.rank()), inlay_dtype(v.dtype)};
}
}  // namespace engine::api

using namespace engine::api;
using engine::Code;

// The numbers of the header are those of the engine's enumerations.
static_assert(INLAY_INVALID_ARGUMENT == int(Code::invalid_argument) && INLAY_INVALID_MODEL == int(Code::invalid_model) &&
              INLAY_UNSUPPORTED == int(Code::unsupported) && INLAY_LIMIT == int(Code::limit) && INLAY_IO == int(Code::io) &&
              INLAY_CANCELLED == int(Code::cancelled) && INLAY_OUT_OF_MEMORY == int(Code::out_of_memory) &&
              INLAY_TIMEOUT == int(Code::timeout) && INLAY_BUSY == int(Code::busy) && INLAY_INTERNAL == int(Code::internal) &&
              INLAY_DEVICE_FAILED == int(Code::device));
#define SAME(NUMBER, NAME) static_assert(NUMBER == int(engine::DType::NAME));
SAME(INLAY_F32, f32) SAME(INLAY_F64, f64) SAME(INLAY_F16, f16) SAME(INLAY_BF16, bf16) SAME(INLAY_I8, i8) SAME(INLAY_I16, i16)
SAME(INLAY_I32, i32) SAME(INLAY_I64, i64) SAME(INLAY_U8, u8) SAME(INLAY_U16, u16) SAME(INLAY_U32, u32) SAME(INLAY_U64, u64)
SAME(INLAY_BOOL, boolean) SAME(INLAY_STRING, string) SAME(INLAY_F8E4M3FN, f8e4m3fn) SAME(INLAY_F8E4M3FNUZ, f8e4m3fnuz)
SAME(INLAY_F8E5M2, f8e5m2) SAME(INLAY_F8E5M2FNUZ, f8e5m2fnuz) SAME(INLAY_F8E8M0, f8e8m0) SAME(INLAY_F4E2M1, f4e2m1)
SAME(INLAY_I4, i4) SAME(INLAY_U4, u4) SAME(INLAY_I2, i2) SAME(INLAY_U2, u2)
#undef SAME
static_assert(INLAY_TENSOR == int(engine::ValueKind::tensor) && INLAY_SEQUENCE == int(engine::ValueKind::sequence) &&
              INLAY_OPTIONAL == int(engine::ValueKind::optional) && INLAY_MAP == int(engine::ValueKind::map));

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
uint32_t inlay_version(void) { return INLAY_VERSION_MAJOR << 16 | INLAY_VERSION_MINOR << 8 | INLAY_VERSION_PATCH; }
const char* inlay_version_string(void) {
  return TEXT(INLAY_VERSION_MAJOR) "." TEXT(INLAY_VERSION_MINOR) "." TEXT(INLAY_VERSION_PATCH);
}

const char* inlay_error(void) { return last_message; }

const char* inlay_status_name(inlay_status status) {
  static constexpr const char* names[] = {"ok", "invalid_argument", "invalid_model", "unsupported", "limit", "io",
                                          "cancelled", "out_of_memory", "timeout", "busy", "internal", "device_failed"};
  return status >= 0 && size_t(status) < std::size(names) ? names[status] : "unknown";
}

const char* inlay_dtype_name(inlay_dtype dtype) {
  const auto& names = schema::names<engine::DType>;
  return dtype >= 0 && size_t(dtype) < names.size() ? names[size_t(dtype)].data() : nullptr;
}

int64_t inlay_tensor_bytes(const inlay_tensor* tensor) {
  int64_t bytes = -1;
  guarded([&] {
    const engine::ConstView view = view_of(tensor, "tensor");
    if (view.dtype != engine::DType::string) bytes = view.bytes();
  });
  return bytes;
}
