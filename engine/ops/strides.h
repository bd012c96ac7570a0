// Addresses in dense tensors, for references: loop nests that move several positions at once without dividing, and data
// movement built on them.
#pragma once
#include <algorithm>
#include <array>
#include "engine/tensor.h"

namespace engine {
// A few numbers per dim, in place: references use them where a run must not allocate.
class Extents {
 public:
  Extents() = default;
  explicit Extents(size_t n, int64_t value = 0) : size_(checked(n)) { std::fill_n(at_.begin(), n, value); }
  Extents(std::initializer_list<int64_t> values) : Extents(std::span(values.begin(), values.size())) {}
  Extents(std::span<const int64_t> values) : size_(checked(values.size())) { std::ranges::copy(values, at_.begin()); }
  Extents(const Shape& shape) : Extents(std::span<const int64_t>(shape)) {}

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t* begin() { return at_.data(); }
  int64_t* end() { return at_.data() + size_; }
  const int64_t* begin() const { return at_.data(); }
  const int64_t* end() const { return at_.data() + size_; }
  int64_t& operator[](size_t i) { return at_[i]; }
  int64_t operator[](size_t i) const { return at_[i]; }
  int64_t& back() { return at_[size_ - 1]; }
  int64_t back() const { return at_[size_ - 1]; }
  void push_back(int64_t value) { at_[checked(size_ + 1) - 1] = value, ++size_; }
  void insert(const int64_t* where, size_t count, int64_t value) {
    int64_t* from = begin() + (where - begin());
    const size_t n = checked(size_ + count);
    std::copy_backward(from, end(), begin() + n);
    std::fill_n(from, count, value);
    size_ = n;
  }
  operator std::span<const int64_t>() const { return {begin(), size_}; }

 private:
  static constexpr size_t capacity = 2 * limits::rank;
  static size_t checked(size_t n) {
    require(n <= capacity, Code::limit, n, " numbers are more than ", capacity, " for one tensor's dims");
    return n;
  }
  std::array<int64_t, capacity> at_;
  size_t size_ = 0;
};

inline int64_t product(std::span<const int64_t> extents) {
  int64_t n = 1;
  for (int64_t d : extents) n *= d;
  return n;
}

// A dense tensor around one axis: element (o, d, i) is at (o * extent + d) * inner + i.
struct AxisSplit {
  int64_t outer, extent, inner;
  AxisSplit(std::span<const int64_t> shape, int64_t axis)
      : outer(product(shape.first(axis))), extent(shape[axis]), inner(product(shape.subspan(axis + 1))) {}
};

// The elements of an integer tensor that says something per dim.
Extents small_ints(const ConstView&);
// The element of an integer tensor that must have one.
int64_t only_int(const ConstView&, const char* what);

// How far apart neighbours along each dim of a dense tensor are, in elements.
Extents dense_strides(std::span<const int64_t> shape);
// The same for `shape` broadcast to `rank` dims: dims of extent 1, and those in front that it lacks, do not move.
Extents broadcast_strides(std::span<const int64_t> shape, size_t rank);

// A loop nest over `extents` in which N positions move, each by its own strides.
template <size_t N> struct Nest {
  using Positions = std::array<int64_t, N>;
  Extents extents;
  std::array<Extents, N> strides;

  // Joins dims that are one run for every position, so that rows become long. Leaves at least one dim.
  Nest merged() const {
    Nest out;
    const auto push = [&](size_t d) {
      out.extents.push_back(extents[d]);
      for (size_t k = 0; k < N; ++k) out.strides[k].push_back(strides[k][d]);
    };
    for (size_t d = 0; d < extents.size(); ++d) {
      if (extents[d] == 1) continue;
      bool joins = !out.extents.empty();
      for (size_t k = 0; joins && k < N; ++k) joins = out.strides[k].back() == strides[k][d] * extents[d];
      if (!joins) {
        push(d);
        continue;
      }
      out.extents.back() *= extents[d];
      for (size_t k = 0; k < N; ++k) out.strides[k].back() = strides[k][d];
    }
    if (out.extents.empty()) {
      out.extents = {1};
      for (Extents& s : out.strides) s = {0};
    }
    return out;
  }

  // f(positions) at the start of each row; the last dim is f's own to walk. Needs at least one dim.
  template <class F> void rows(Positions at, F&& f) const {
    for (int64_t d : extents)
      if (d == 0) return;
    Extents index(extents.size() - 1);
    for (;;) {
      f(std::as_const(at));
      size_t d = extents.size() - 1;
      for (;; index[d] = 0) {
        if (d-- == 0) return;
        for (size_t k = 0; k < N; ++k) at[k] += strides[k][d];
        if (++index[d] < extents[d]) break;
        for (size_t k = 0; k < N; ++k) at[k] -= strides[k][d] * extents[d];
      }
    }
  }

  // f(positions) at each element.
  template <class F> void each(Positions at, F&& f) const {
    rows(at, [&](Positions p) {
      for (int64_t i = 0; i < extents.back(); ++i) {
        f(std::as_const(p));
        for (size_t k = 0; k < N; ++k) p[k] += strides[k].back();
      }
    });
  }
};

// Moves one element of T's size, or of packed ones of d.
template <class T> struct Mover {
  static void move(std::byte* to, int64_t i, const std::byte* from, int64_t j) {
    reinterpret_cast<T*>(to)[i] = reinterpret_cast<const T*>(from)[j];
  }
};
template <DType d> struct PackedMover {
  static void move(std::byte* to, int64_t i, const std::byte* from, int64_t j) {
    store_element(d, to, i, load_element<Int>(d, from, j));
  }
};
// Calls f with the mover of a dtype.
template <class F> void with_mover(DType dtype, F&& f) {
  if (dtype == DType::string) return f(Mover<std::string>{});
  switch (bits_of(dtype)) {
    case 2: return f(PackedMover<DType::u2>{});
    case 4: return f(PackedMover<DType::u4>{});
    case 8: return f(Mover<uint8_t>{});
    case 16: return f(Mover<uint16_t>{});
    case 32: return f(Mover<uint32_t>{});
    default: return f(Mover<uint64_t>{});
  }
}

// Calls f with a function that loads element i as a T: without a switch per element for f32.
template <class T, class F> void with_reader(const ConstView& x, F&& f) {
  if (x.dtype == DType::f32) return f([p = reinterpret_cast<const float*>(x.data)](int64_t i) { return T(p[i]); });
  f([&x](int64_t i) { return load<T>(x, i); });
}

// Copies along a nest whose positions are elements of `to` and of `from`.
void copy_nest(const View& to, const ConstView& from, const Nest<2>& nest, std::array<int64_t, 2> first = {});
// Fills the dense tensor `to` with the elements of `from` that `strides` reach.
void copy_strided(const View& to, const ConstView& from, Extents strides, int64_t first = 0);
// Makes `count` elements equal to element 0 of `value`.
void fill(const View& to, int64_t first, int64_t count, const ConstView& value);
// One element of any dtype: zero, or the empty string.
Object zero_of(DType);
}  // namespace engine
