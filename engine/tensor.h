// Values as they are while a model runs: views of memory that someone else owns, constants, and objects, which own
// what no arena holds (strings, sequences, optionals, tensors whose size is found at run).
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <string>
#include <vector>
#include "engine/budget.h"
#include "engine/number.h"
#include "engine/type.h"

namespace kernels::os {
class Memory;
}

namespace engine {
struct Object;

// A value of any kind. A tensor is dense and row-major, and `data` points to its elements (std::string objects for
// strings). Any other kind of value is `object`. A state that grows may have room behind each of its matrices, its last two
// dims: see Plan::growing.
template <class Byte, class Obj> struct BasicView {
  DType dtype = DType::f32;
  std::span<const int64_t> shape;
  Byte* data = nullptr;
  Obj* object = nullptr;
  int64_t pitch = 0;  // elements from matrix to matrix; 0: as many as one has

  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  int64_t elements() const {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    return n;
  }
  int64_t bytes() const { return (elements() * bits_of(dtype) + 7) / 8; }
  template <class T> auto as() const {
    using Element = std::conditional_t<std::is_const_v<Byte>, const T, T>;
    return std::span<Element>(reinterpret_cast<Element*>(data), static_cast<size_t>(elements()));
  }
  operator BasicView<const Byte, const Obj>() const requires(!std::is_const_v<Byte>) { return {dtype, shape, data, object, pitch}; }
};
using View = BasicView<std::byte, Object>;
using ConstView = BasicView<const std::byte, const Object>;

// Floats, or what is kept in their place.
inline const float* f32(const ConstView& v) { return reinterpret_cast<const float*>(v.data); }
inline float* f32(const View& v) { return reinterpret_cast<float*>(v.data); }

template <class Carrier> Carrier load(const ConstView& v, int64_t i) { return load_element<Carrier>(v.dtype, v.data, i); }
template <class Carrier> void store(const View& v, int64_t i, Carrier value, bool saturate = false) {
  store_element(v.dtype, v.data, i, value, saturate);
}

// Copies `count` elements, of any dtype but string also within bytes.
void copy_elements(const View& to, int64_t to_first, const ConstView& from, int64_t from_first, int64_t count);
// Copies a whole tensor of equal dtype and element count. `to` is dense.
void copy_tensor(const View& to, const ConstView& from);
// The elements of a small integer or boolean tensor.
std::vector<int64_t> to_ints(const ConstView&);

// A hash of contents that never change, kept once it was asked for. Copies forget it.
class ContentHash {
 public:
  struct Bits {
    uint64_t low, high;
    bool operator==(const Bits&) const = default;
  };
  ContentHash() = default;
  ContentHash(const ContentHash&) {}
  ContentHash& operator=(const ContentHash&) { return known_ = false, *this; }
  template <class Make> Bits get(Make&& make) const {
    if (known_.load(std::memory_order_acquire)) return {low_, high_};
    const Bits bits = make();
    low_ = bits.low, high_ = bits.high;
    known_.store(true, std::memory_order_release);
    return bits;
  }

 private:
  mutable std::atomic<uint64_t> low_{0}, high_{0};
  mutable std::atomic<bool> known_{false};
};

class StoredPackings;

// A tensor that never changes: a weight of the model, or one that folding computed.
struct Constant {
  static constexpr int64_t small = 16 << 10;  // bytes: those of a file that have no more lie together, and are read where others are only mapped
  DType dtype = DType::f32;
  Shape shape;
  const std::byte* data = nullptr;
  std::shared_ptr<const void> owner;  // of what `data` points to
  const kernels::os::Memory* mapping = nullptr;  // the mapped file that `data` lies in, if any
  const StoredPackings* stored = nullptr;        // what that file has of it, packed; of the same owner
  ContentHash hash{}, samples{};                 // of all, of a few lines

  ConstView view() const { return {dtype, shape, data, nullptr}; }
  int64_t bytes() const { return bytes_of(dtype, shape); }
};
using ConstantPtr = std::shared_ptr<const Constant>;
ConstantPtr make_constant(const ConstView&);                            // copies
ConstantPtr make_ints(std::span<const int64_t> values);                 // i64 [n]
inline ConstantPtr make_ints(std::initializer_list<int64_t> values) { return make_ints(std::span(values.begin(), values.size())); }
template <class T> ConstantPtr make_scalar(DType dtype, T value);       // of any numeric dtype
ConstantPtr make_strings(Shape shape, std::vector<std::string> values);
bool same_contents(const Constant&, const Constant&);

// Aligned bytes that keep their capacity when they shrink.
class Bytes {
 public:
  Bytes() = default;
  Bytes(const Bytes&);
  Bytes(Bytes&&) noexcept = default;
  Bytes& operator=(const Bytes&);
  Bytes& operator=(Bytes&&) noexcept = default;
  void resize(size_t size);  // contents are lost when it grows
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free { void operator()(std::byte*) const; };
  std::unique_ptr<std::byte[], Free> data_;
  size_t size_ = 0, capacity_ = 0;
  Charge charge_;
};

// Owns a value of any kind, and keeps its memory when it is given a new one.
struct Object {
  ValueKind kind = ValueKind::tensor;
  DType dtype = DType::f32;
  Shape shape;
  Bytes bytes;
  std::vector<std::string> strings;
  std::vector<Object> items;  // of a sequence; of an optional, none or one; of a map, its keys and its values (tensors)
  Charge itself{int64_t(sizeof(Object))}, text;  // the budget's share; `text`: of what strings take

  // Makes this a tensor of the given type. A string tensor's elements are empty.
  View set_tensor(DType, std::span<const int64_t> shape);
  void assign(const ConstView&);  // copies a value of any kind
  void charge_text(int64_t characters);  // before the strings of a tensor are given so many
  // A sequence without items, or an empty optional.
  void set_empty(ValueKind, DType);
  View view();
  ConstView view() const;
};

template <class T> ConstantPtr make_scalar(DType dtype, T value) {
  Object object;
  using Carrier = std::conditional_t<std::is_floating_point_v<T>, double, std::conditional_t<std::is_same_v<T, uint64_t>, UInt, Int>>;
  store(object.set_tensor(dtype, {}), 0, Carrier(value));
  return make_constant(std::as_const(object).view());
}
}  // namespace engine
