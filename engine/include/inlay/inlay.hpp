// Inlay for C++17 and later: a thin wrapper over inlay.h, in this header alone, so that an app never meets an ABI mismatch.
//
//   inlay::Model model = inlay::Model::load("resnet50.inlay");
//   inlay::Session session(model, {.threads = 4});
//   auto out = session.run({{"input", inlay::view(pixels, {1, 3, 224, 224})}});   // zero-copy in; out["logits"] is a view
//
// What fails throws inlay::Error. Threads, ownership and lifetimes are as inlay.h says; classes here release what they hold.
#ifndef INLAY_INLAY_HPP_
#define INLAY_INLAY_HPP_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include "inlay/inlay.h"

namespace inlay {
class Error : public std::runtime_error {
 public:
  Error(inlay_status status, const char* message) : std::runtime_error(message), status_(status) {}
  inlay_status status() const { return status_; }

 private:
  inlay_status status_;
};

inline void check(inlay_status status) {
  if (status != INLAY_OK) throw Error(status, inlay_error());
}

enum class DType : inlay_dtype {
  f32 = INLAY_F32, f64 = INLAY_F64, f16 = INLAY_F16, bf16 = INLAY_BF16, i8 = INLAY_I8, i16 = INLAY_I16, i32 = INLAY_I32,
  i64 = INLAY_I64, u8 = INLAY_U8, u16 = INLAY_U16, u32 = INLAY_U32, u64 = INLAY_U64, boolean = INLAY_BOOL,
  string = INLAY_STRING, f8e4m3fn = INLAY_F8E4M3FN, f8e4m3fnuz = INLAY_F8E4M3FNUZ, f8e5m2 = INLAY_F8E5M2,
  f8e5m2fnuz = INLAY_F8E5M2FNUZ, f8e8m0 = INLAY_F8E8M0, f4e2m1 = INLAY_F4E2M1, i4 = INLAY_I4, u4 = INLAY_U4,
  i2 = INLAY_I2, u2 = INLAY_U2
};
// The element type of a C++ type. Others, as half floats kept in uint16_t, are named where a view is made.
template <class T> struct dtype_of;
template <> struct dtype_of<float> { static constexpr DType value = DType::f32; };
template <> struct dtype_of<double> { static constexpr DType value = DType::f64; };
template <> struct dtype_of<int8_t> { static constexpr DType value = DType::i8; };
template <> struct dtype_of<int16_t> { static constexpr DType value = DType::i16; };
template <> struct dtype_of<int32_t> { static constexpr DType value = DType::i32; };
template <> struct dtype_of<int64_t> { static constexpr DType value = DType::i64; };
template <> struct dtype_of<uint8_t> { static constexpr DType value = DType::u8; };
template <> struct dtype_of<uint16_t> { static constexpr DType value = DType::u16; };
template <> struct dtype_of<uint32_t> { static constexpr DType value = DType::u32; };
template <> struct dtype_of<uint64_t> { static constexpr DType value = DType::u64; };
template <> struct dtype_of<bool> { static constexpr DType value = DType::boolean; };

// Extents, without an allocation.
class Shape {
 public:
  static constexpr int32_t max_rank = 32;
  Shape() = default;
  Shape(std::initializer_list<int64_t> extents) : Shape(extents.begin(), extents.size()) {}
  Shape(const std::vector<int64_t>& extents) : Shape(extents.data(), extents.size()) {}
  Shape(const int64_t* extents, size_t rank) : rank_(static_cast<int32_t>(rank)) {
    if (rank > size_t(max_rank)) throw Error(INLAY_INVALID_ARGUMENT, "a tensor has at most 32 dimensions");
    for (size_t i = 0; i < rank; ++i) extents_[i] = extents[i];
  }
  int32_t rank() const { return rank_; }
  const int64_t* data() const { return extents_; }
  const int64_t* begin() const { return extents_; }
  const int64_t* end() const { return extents_ + rank_; }
  int64_t operator[](size_t i) const { return extents_[i]; }
  int64_t elements() const {
    int64_t n = 1;
    for (int64_t e : *this) n *= e;
    return n;
  }
  friend bool operator==(const Shape& a, const Shape& b) {
    bool same = a.rank_ == b.rank_;
    for (int32_t i = 0; same && i < a.rank_; ++i) same = a.extents_[i] == b.extents_[i];
    return same;
  }
  friend bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }

 private:
  int64_t extents_[max_rank] = {};
  int32_t rank_ = 0;
};

// A tensor in memory that someone else owns: dense, row-major.
class TensorView {
 public:
  TensorView() = default;
  TensorView(void* data, const Shape& shape, DType dtype) : data_(data), shape_(shape), dtype_(dtype) {}
  explicit TensorView(const inlay_tensor& t) : data_(t.data), shape_(t.shape, size_t(t.rank)), dtype_(DType(t.dtype)) {}
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t elements() const { return shape_.elements(); }
  int64_t bytes() const {
    const inlay_tensor t = c();
    return inlay_tensor_bytes(&t);
  }
  void* data() const { return data_; }
  // The elements; throws if they are of another type.
  template <class T> T* as() const {
    if (dtype_of<std::remove_const_t<T>>::value != dtype_)
      throw Error(INLAY_INVALID_ARGUMENT, (std::string("the tensor is ") + inlay_dtype_name(inlay_dtype(dtype_))).c_str());
    return static_cast<T*>(data_);
  }
  inlay_tensor c() const { return {data_, shape_.data(), shape_.rank(), static_cast<inlay_dtype>(dtype_)}; }  // valid as long as this

 private:
  void* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::f32;
};
// Views for inputs are only read.
template <class T> TensorView view(T* data, const Shape& shape) {
  return {const_cast<std::remove_const_t<T>*>(data), shape, dtype_of<std::remove_const_t<T>>::value};
}
template <class T> TensorView view(std::vector<T>& data, const Shape& shape) {
  if (shape.elements() != int64_t(data.size())) throw Error(INLAY_INVALID_ARGUMENT, "the vector has another size than the shape");
  return view(data.data(), shape);
}
template <class T> TensorView view(const std::vector<T>& data, const Shape& shape) {
  return view(const_cast<std::vector<T>&>(data), shape);
}
inline TensorView view(const void* data, const Shape& shape, DType dtype) { return {const_cast<void*>(data), shape, dtype}; }

// A DLTensor (dlpack.h) as a view, without copying: dense, of one lane. Where its memory is, is for the caller to say; is_on_cuda tells.
template <class DLTensor> TensorView from_dlpack(const DLTensor& t) {
  int64_t step = 1;
  for (int d = int(t.ndim); d-- > 0; step *= t.shape[d])
    if (t.strides && t.shape[d] != 1 && t.strides[d] != step) throw Error(INLAY_INVALID_ARGUMENT, "the DLPack tensor is not dense");
  const int code = t.dtype.code, bits = t.dtype.bits;  // 0: signed, 1: unsigned, 2: IEEE 754, 4: bfloat16, 6: boolean
  const DType none = DType::string;
  const DType integers[2][4] = {{DType::i8, DType::i16, DType::i32, DType::i64}, {DType::u8, DType::u16, DType::u32, DType::u64}};
  const int size = bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : bits == 64 ? 3 : -1;
  DType dtype = none;
  if ((code == 0 || code == 1) && size >= 0) dtype = integers[code][size];
  else if (code == 2) dtype = bits == 16 ? DType::f16 : bits == 32 ? DType::f32 : bits == 64 ? DType::f64 : none;
  else if (code == 4 && bits == 16) dtype = DType::bf16;
  else if (code == 6 && bits == 8) dtype = DType::boolean;
  if (dtype == none || t.dtype.lanes != 1) throw Error(INLAY_UNSUPPORTED, "the DLPack tensor is of a type that models do not have");
  return {static_cast<char*>(t.data) + t.byte_offset, Shape(t.shape, size_t(t.ndim)), dtype};
}
// True for kDLCUDA, false for memory that the host reads (kDLCPU, kDLCUDAHost, kDLCUDAManaged).
template <class DLTensor> bool is_on_cuda(const DLTensor& t) {
  const int type = int(t.device.device_type);
  if (type != 1 && type != 2 && type != 3 && type != 13) throw Error(INLAY_UNSUPPORTED, "the DLPack tensor is on a device of another kind");
  return type == 2;
}

// A value of any kind that owns its contents: strings, sequences, optionals, maps.
class Value {
 public:
  static Value tensor(const TensorView& from) {
    const inlay_tensor t = from.c();
    return make([&](inlay_value** v) { return inlay_value_create_tensor(&t, v); });
  }
  static Value strings(const std::vector<std::string>& texts, const Shape& shape) {
    if (shape.elements() != int64_t(texts.size())) throw Error(INLAY_INVALID_ARGUMENT, "there are more or fewer strings than elements");
    std::vector<const char*> data;
    std::vector<size_t> lengths;
    for (const std::string& text : texts) data.push_back(text.data()), lengths.push_back(text.size());
    return make([&](inlay_value** v) { return inlay_value_create_strings(data.data(), lengths.data(), shape.data(), shape.rank(), v); });
  }
  static Value sequence(DType dtype, const std::vector<Value>& items) {
    std::vector<const inlay_value*> handles;
    for (const Value& item : items) handles.push_back(item.c());
    return make([&](inlay_value** v) { return inlay_value_create_sequence(inlay_dtype(dtype), handles.data(), handles.size(), v); });
  }
  static Value optional(DType dtype) {
    return make([&](inlay_value** v) { return inlay_value_create_optional(inlay_dtype(dtype), nullptr, v); });
  }
  static Value optional(DType dtype, const Value& item) {
    return make([&](inlay_value** v) { return inlay_value_create_optional(inlay_dtype(dtype), item.c(), v); });
  }
  static Value map(const Value& keys, const Value& values) {
    return make([&](inlay_value** v) { return inlay_value_create_map(keys.c(), values.c(), v); });
  }

  inlay_kind kind() const { return inlay_value_kind(c()); }
  TensorView tensor() const {
    inlay_tensor t;
    check(inlay_value_tensor(c(), &t));
    return TensorView(t);
  }
  std::string_view string(size_t index) const {
    const char* data = nullptr;
    size_t length = 0;
    check(inlay_value_string(c(), index, &data, &length));
    return {data, length};
  }
  size_t count() const { return inlay_value_count(c()); }
  Value item(size_t index) const {  // belongs to this value, which it keeps alive
    const inlay_value* item = nullptr;
    check(inlay_value_item(c(), index, &item));
    return Value(std::shared_ptr<const inlay_value>(handle_, item));
  }
  const inlay_value* c() const { return handle_.get(); }
  explicit Value(inlay_value* owned) : handle_(owned, inlay_value_release) {}

 private:
  explicit Value(std::shared_ptr<const inlay_value> handle) : handle_(std::move(handle)) {}
  template <class F> static Value make(F&& create) {
    inlay_value* v = nullptr;
    check(create(&v));
    return Value(v);
  }
  std::shared_ptr<const inlay_value> handle_;
};

class Pool {
 public:
  // Counts the thread that calls run; 0: the physical cores that affinity and quota allow.
  explicit Pool(int threads = 0, const std::vector<int32_t>& cpus = {}) {
    inlay_pool* pool = nullptr;
    check(inlay_pool_create(threads, cpus.data(), cpus.size(), &pool));
    handle_.reset(pool, inlay_pool_release);
  }
  int threads() const { return inlay_pool_threads(c()); }
  inlay_pool* c() const { return handle_.get(); }

 private:
  std::shared_ptr<inlay_pool> handle_;
};

struct ModelOptions {
  inlay_device device = INLAY_CPU;
  bool copy = false;             // read the file into memory instead of mapping it
  std::string max_isa = {};      // "avx2": use nothing above; empty: what the machine has
  int64_t max_arena_bytes = 0;   // of one plan; 0: no cap
  int64_t max_memory_bytes = 0;  // of loading, and of each session; 0: no cap
  double max_work = 0;           // operations of one run; 0: no cap
  std::vector<std::pair<std::string, int64_t>> bounds = {};       // symbol, upper bound
  std::vector<std::pair<std::string, std::string>> states = {};   // input, the output that feeds it
  std::vector<const inlay_custom_op*> custom_ops = {};
  bool strict = false;           // no kernel whose error is larger than a direct sum's
  int32_t device_index = 0;      // which of the devices of this kind
  bool device_fallback = false;  // run on the CPU where the device is not available
  inlay_precision precision = INLAY_PRECISION_F32;  // of the operands of products and convolutions
  std::string tune_cache = {};   // a file of `inlay tune`, made on this machine; see Model::note
};

class Model {
 public:
  static Model load(const std::string& path, const ModelOptions& options = {}) {
    return make(options, [&](const inlay_model_options* o, inlay_model** m) { return inlay_model_load(path.c_str(), o, m); });
  }
  // Memory that stays valid and unchanged for as long as the model or a session of it lives.
  static Model from_memory(const void* data, size_t size, const ModelOptions& options = {}) {
    return make(options, [&](const inlay_model_options* o, inlay_model** m) {
      return inlay_model_load_memory(data, size, nullptr, nullptr, o, m);
    });
  }

  size_t inputs() const { return inlay_model_input_count(c()); }
  size_t outputs() const { return inlay_model_output_count(c()); }
  inlay_value_info input(size_t index) const {
    inlay_value_info info = INLAY_VALUE_INFO_INIT;
    check(inlay_model_input(c(), index, &info));
    return info;
  }
  inlay_value_info output(size_t index) const {
    inlay_value_info info = INLAY_VALUE_INFO_INIT;
    check(inlay_model_output(c(), index, &info));
    return info;
  }
  size_t find_input(const char* name) const {
    size_t index = 0;
    check(inlay_model_find_input(c(), name, &index));
    return index;
  }
  size_t find_output(const char* name) const {
    size_t index = 0;
    check(inlay_model_find_output(c(), name, &index));
    return index;
  }
  std::string note() const { return inlay_model_note(c()); }  // what was asked for and is not followed; empty: nothing
  inlay_model* c() const { return handle_.get(); }

 private:
  template <class F> static Model make(const ModelOptions& options, F&& load) {
    inlay_model_options o = INLAY_MODEL_OPTIONS_INIT;
    std::vector<inlay_bound> bounds;
    for (const auto& bound : options.bounds) bounds.push_back({bound.first.c_str(), bound.second});
    std::vector<inlay_state> states;
    for (const auto& state : options.states) states.push_back({state.first.c_str(), state.second.c_str()});
    o.device = options.device, o.copy = options.copy, o.max_arena_bytes = options.max_arena_bytes;
    o.max_memory_bytes = options.max_memory_bytes, o.max_work = options.max_work;
    if (!options.max_isa.empty()) o.max_isa = options.max_isa.c_str();
    o.bounds = bounds.data(), o.bound_count = bounds.size(), o.states = states.data(), o.state_count = states.size();
    o.custom_ops = options.custom_ops.data(), o.custom_op_count = options.custom_ops.size();
    o.strict = options.strict;
    o.device_index = options.device_index, o.device_fallback = options.device_fallback;
    o.precision = options.precision;
    if (!options.tune_cache.empty()) o.tune_cache = options.tune_cache.c_str();
    inlay_model* m = nullptr;
    check(load(&o, &m));
    Model model;
    model.handle_.reset(m, inlay_model_release);
    return model;
  }
  Model() = default;
  std::shared_ptr<inlay_model> handle_;
};

struct SessionOptions {
  int threads = 0;              // at most so many of the pool's; 0: all
  bool manual_states = false;   // the caller feeds states like any input
  const Pool* pool = nullptr;   // null: the process' own
};

// An input or output, by name or by index.
class Port {
 public:
  Port(size_t index) : index_(index) {}
  Port(int index) : index_(static_cast<size_t>(index)) {}
  Port(const char* name) : name_(name) {}
  Port(const std::string& name) : name_(name.c_str()) {}
  size_t input_of(const Model& m) const { return name_ ? m.find_input(name_) : index_; }
  size_t output_of(const Model& m) const { return name_ ? m.find_output(name_) : index_; }

 private:
  size_t index_ = 0;
  const char* name_ = nullptr;
};

class Session {
 public:
  explicit Session(const Model& model, const SessionOptions& options = {}) : model_(model) {
    inlay_session_options o = INLAY_SESSION_OPTIONS_INIT;
    o.threads = options.threads, o.manual_states = options.manual_states, o.pool = options.pool ? options.pool->c() : nullptr;
    inlay_session* s = nullptr;
    check(inlay_session_create(model.c(), &o, &s));
    handle_.reset(s);
  }

  // The value of an input from now on; the data is read in place by every later run.
  void set_input(Port input, const TensorView& tensor) {
    const inlay_tensor t = tensor.c();
    check(inlay_session_set_input(c(), input.input_of(model_), &t));
  }
  void set_input(Port input, const Value& value) { check(inlay_session_set_input_value(c(), input.input_of(model_), value.c())); }
  // A picture, prepared as the model's image spec says. Not read afterwards.
  void set_picture(Port input, const inlay_picture& picture) {
    check(inlay_session_set_picture(c(), input.input_of(model_), &picture));
  }
  // Where an output is written to from now on.
  void set_output(Port output, const TensorView& tensor) {
    const inlay_tensor t = tensor.c();
    check(inlay_session_set_output(c(), output.output_of(model_), &t));
  }
  // The same in the memory of the model's device: see inlay_session_set_device_input.
  void set_device_input(Port input, const TensorView& tensor) {
    const inlay_tensor t = tensor.c();
    check(inlay_session_set_device_input(c(), input.input_of(model_), &t));
  }
  void set_device_output(Port output, const TensorView& tensor) {
    const inlay_tensor t = tensor.c();
    check(inlay_session_set_device_output(c(), output.output_of(model_), &t));
  }
  // A DLTensor of dlpack.h, on the host or on the model's device.
  template <class DLTensor> void set_dlpack_input(Port input, const DLTensor& t) {
    is_on_cuda(t) ? set_device_input(input, from_dlpack(t)) : set_input(input, from_dlpack(t));
  }
  template <class DLTensor> void set_dlpack_output(Port output, const DLTensor& t) {
    is_on_cuda(t) ? set_device_output(output, from_dlpack(t)) : set_output(output, from_dlpack(t));
  }
  // A cudaStream_t of the application's; null: the session's own.
  void set_stream(void* stream) { check(inlay_session_set_stream(c(), stream)); }

  void prepare() { check(inlay_session_prepare(c())); }

  // The outputs of a run; valid until the next one.
  class Outputs {
   public:
    TensorView operator[](Port output) const { return session_->output(output); }

   private:
    friend Session;
    explicit Outputs(Session* session) : session_(session) {}
    Session* session_;
  };
  Outputs run(std::chrono::nanoseconds timeout = {}) {
    const inlay_run_options o = {sizeof o, timeout.count()};
    check(inlay_session_run(c(), &o));
    return Outputs(this);
  }
  Outputs run(std::initializer_list<std::pair<Port, TensorView>> inputs, std::chrono::nanoseconds timeout = {}) {
    for (const auto& input : inputs) set_input(input.first, input.second);
    return run(timeout);
  }

  // Runs on the session's own thread. The future throws what the run would have thrown.
  std::future<void> run_async(std::chrono::nanoseconds timeout = {}) {
    auto promise = std::make_unique<std::promise<void>>();
    std::future<void> future = promise->get_future();
    const inlay_run_options o = {sizeof o, timeout.count()};
    check(inlay_session_run_async(
        c(), &o,
        [](void* user, inlay_session*, inlay_status status, const char* error) {
          const std::unique_ptr<std::promise<void>> done(static_cast<std::promise<void>*>(user));
          if (status == INLAY_OK) done->set_value();
          else done->set_exception(std::make_exception_ptr(Error(status, error)));
        },
        promise.get()));
    promise.release();
    return future;
  }
  void wait() { check(inlay_session_wait(c())); }
  void cancel() { inlay_session_cancel(c()); }

  TensorView output(Port output) const {
    inlay_tensor t;
    check(inlay_session_output(c(), output.output_of(model_), &t));
    return TensorView(t);
  }
  Value output_value(Port output) const {
    inlay_value* v = nullptr;
    check(inlay_session_output_value(c(), output.output_of(model_), &v));
    return Value(v);
  }

  void reset_states() { check(inlay_session_reset_states(c())); }
  inlay_memory_info memory() const {
    inlay_memory_info info = INLAY_MEMORY_INFO_INIT;
    check(inlay_session_memory(c(), &info));
    return info;
  }
  // Called after each step of later runs; an empty function: no more.
  void set_profiler(std::function<void(const inlay_step&)> profiler) {
    auto kept = profiler ? std::make_unique<std::function<void(const inlay_step&)>>(std::move(profiler)) : nullptr;
    check(inlay_session_set_profiler(
        c(), kept ? [](void* user, const inlay_step* step) { (*static_cast<std::function<void(const inlay_step&)>*>(user))(*step); } : inlay_profiler(nullptr),
        kept.get()));
    profiler_ = std::move(kept);
  }

  const Model& model() const { return model_; }
  inlay_session* c() const { return handle_.get(); }

 private:
  struct Release {
    void operator()(inlay_session* s) const { inlay_session_release(s); }
  };
  Model model_;
  std::unique_ptr<std::function<void(const inlay_step&)>> profiler_;
  std::unique_ptr<inlay_session, Release> handle_;
};
}  // namespace inlay
#endif  // INLAY_INLAY_HPP_
