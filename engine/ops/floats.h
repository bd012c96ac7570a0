// f32 arithmetic on tensors of any real dtype.
#pragma once
#include "engine/tensor.h"

namespace engine {
// The elements of an input: its own, or converted ones.
class Floats {
 public:
  explicit Floats(const ConstView& from) : data_(reinterpret_cast<const float*>(from.data)) {
    if (from.dtype == DType::f32) return;
    bytes_of(DType::f32, from.shape);
    copy_.resize(size_t(from.elements()));
    for (size_t i = 0; i < copy_.size(); ++i) copy_[i] = load<float>(from, int64_t(i));
    data_ = copy_.data();
  }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  const float* data() const { return data_; }

 private:
  Scratch<float> copy_;
  const float* data_;
};

// Where the elements of an output are computed: in their place, or beside it until they are stored.
class FloatsOut {
 public:
  explicit FloatsOut(const View& to) : to_(to), data_(reinterpret_cast<float*>(to.data)) {
    if (to.dtype == DType::f32) return;
    bytes_of(DType::f32, to.shape);
    copy_.resize(size_t(to.elements()));
    data_ = copy_.data();
  }
  FloatsOut(const FloatsOut&) = delete;
  FloatsOut& operator=(const FloatsOut&) = delete;
  float* data() { return data_; }
  void store() {
    for (size_t i = 0; i < copy_.size(); ++i) engine::store(to_, int64_t(i), double(copy_[i]));
  }

 private:
  const View to_;
  Scratch<float> copy_;
  float* data_;
};
}  // namespace engine
