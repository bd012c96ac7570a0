// What the files behind inlay.h share: handles, and the way out for exceptions.
#pragma once
#include <cstring>
#include <thread>
#include "engine/include/inlay/inlay.h"
#include "engine/session.h"
#include "kernels/threads.h"

namespace engine::api {
// A handle that C holds; starts with one reference.
class Counted {
 public:
  void retain() const { references_.fetch_add(1, std::memory_order_relaxed); }
  bool release() const { return references_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

 private:
  mutable std::atomic<int64_t> references_ = 1;
};
template <class T> struct Release {
  void operator()(T* handle) const {
    if (handle && handle->release()) delete handle;
  }
};
template <class T> using Handle = std::unique_ptr<T, Release<T>>;

// Keeps the message for inlay_error(). Allocates nothing.
inlay_status failed(Code, const char* message) noexcept;
// Inside a catch block: the status and message of what was thrown.
inlay_status caught() noexcept;
template <class F> inlay_status guarded(F&& f) noexcept {
  try {
    f();
    return INLAY_OK;
  } catch (...) {
    return caught();
  }
}

template <class T> void require_given(const T* pointer, const char* name) {
  require(pointer, Code::invalid_argument, "'", name, "' is NULL");
}

// The size of a struct that ends with this field: what its first version had.
#define INLAY_SIZE_UP_TO(STRUCT, FIELD) (offsetof(STRUCT, FIELD) + sizeof(STRUCT::FIELD))

// The options that a caller of any version gave, the rest at their default. `first_size`: of the struct's first version.
template <class T> T read_options(const T* given, size_t first_size, const char* name) {
  T options{};
  options.struct_size = sizeof(T);
  if (!given) return options;
  const size_t size = given->struct_size;
  require(size >= first_size && size <= 65536, Code::invalid_argument, name, ".struct_size is ", size,
          "; set it to sizeof(", name, "), as the INIT macro does");
  const auto* bytes = reinterpret_cast<const char*>(given);
  for (size_t i = sizeof(T); i < size; ++i)
    require(!bytes[i], Code::unsupported, name, " has a field that this version of the library does not know");
  std::memcpy(&options, bytes, std::min(size, sizeof(T)));
  return options;
}

// Fills a struct of a caller of any version.
template <class T> void write_info(T* to, T from, size_t first_size, const char* name) {
  require_given(to, "info");
  const size_t size = to->struct_size;
  require(size >= first_size, Code::invalid_argument, name, ".struct_size is ", size, "; set it to sizeof(", name, ")");
  from.struct_size = size;
  std::memcpy(to, &from, std::min(size, sizeof(T)));
}

DType dtype_of(inlay_dtype);  // throws for a number that is none
// Checks everything but what `data` points to.
ConstView view_of(const inlay_tensor*, const char* name);
inlay_tensor tensor_of(const ConstView&);
// The pool behind a handle, NULL being the process' own.
kernels::ThreadPool& pool_of(const inlay_pool*);

// What options say of a graph's inputs and outputs.
void add_interface(Graph&, std::span<const inlay_bound>, std::span<const inlay_state>);

// The app's implementations, wrapped; null where there are none. Throws as make_custom_ops does.
std::shared_ptr<const CustomOpSet> custom_ops(std::span<const inlay_custom_op* const>);

// An inlay_value* is the address of an Object: the items of one are handles too.
inline const Object& object_of(const inlay_value* value) { return *reinterpret_cast<const Object*>(value); }
inline const inlay_value* handle_of(const Object* object) { return reinterpret_cast<const inlay_value*>(object); }
inline inlay_value* handle_of(Object* object) { return reinterpret_cast<inlay_value*>(object); }
}  // namespace engine::api

struct inlay_pool : engine::api::Counted {
  kernels::ThreadPool pool;
  inlay_pool(int threads, std::span<const int> cpus) : pool(threads, cpus) {}
};

struct inlay_model : engine::api::Counted {
  struct Info {
    std::string text, image;
    engine::Shape shape, upper;
    std::vector<std::string> symbol_texts;
    std::vector<const char*> symbols;
    inlay_value_info info{};
  };
  explicit inlay_model(std::shared_ptr<const engine::Model>);
  const std::shared_ptr<const engine::Model> model;
  std::vector<Info> inputs, outputs;
  std::string note;
};
