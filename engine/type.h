// What is known of a value before it exists: dims that are numbers or symbols, and types of all four kinds of value.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include "engine/error.h"
#include "engine/limits.h"
#include "schema/dtypes.h"

namespace engine {
using schema::DType, schema::ValueKind;
using Shape = std::vector<int64_t>;  // extents that are all known

// One extent: a number, a symbol ("batch"), or arithmetic on them. Two dims are equal if they are the same expression,
// so an unknown dim equals itself alone.
class Dim {
 public:
  Dim(int64_t value = 0) : value_(value) {}
  // A symbol of the model. An upper bound makes it a bounded symbol: memory is planned for it.
  static Dim symbol(std::string name, int64_t lower = 0, int64_t upper = limits::extent);
  static Dim unknown();

  bool known() const { return !expr_; }
  int64_t value() const { return value_; }  // of a known dim
  // The symbol's name; empty for anything else.
  const std::string& name() const;
  int64_t lower() const;
  int64_t upper() const;
  bool bounded() const { return upper() < limits::extent; }
  // With f(name) -> optional<int64_t> for the symbols; known if every symbol in it has a value.
  template <class F> Dim bind(F&& f) const;
  std::string text() const;  // "64", "batch", "(past+seq)", "?"

  friend Dim operator+(const Dim& a, const Dim& b) { return combine('+', a, b); }
  friend Dim operator-(const Dim& a, const Dim& b) { return combine('-', a, b); }
  friend Dim operator*(const Dim& a, const Dim& b) { return combine('*', a, b); }
  friend Dim operator/(const Dim& a, const Dim& b) { return combine('/', a, b); }  // rounds down
  friend Dim operator%(const Dim& a, const Dim& b) { return combine('%', a, b); }  // with the divisor's sign
  friend Dim max(const Dim& a, const Dim& b) { return combine('m', a, b); }
  friend bool operator==(const Dim& a, const Dim& b);

 private:
  struct Expr;
  static Dim combine(char op, const Dim& a, const Dim& b);
  static Dim make(Expr);
  Dim bind_with(const void* context, std::optional<int64_t> (*lookup)(const void*, const std::string&)) const;
  int64_t value_ = 0;
  std::shared_ptr<const Expr> expr_;
};
using Dims = std::vector<Dim>;

template <class F> Dim Dim::bind(F&& f) const {
  return bind_with(&f, [](const void* context, const std::string& name) -> std::optional<int64_t> {
    return (*static_cast<const std::remove_reference_t<F>*>(context))(name);
  });
}

struct Type {
  ValueKind kind = ValueKind::tensor;
  DType dtype = DType::f32;             // of a tensor; a map's values
  bool ranked = false;                  // of a tensor: `dims` says something
  Dims dims;
  std::shared_ptr<const Type> element;  // of a sequence or an optional
  DType key = DType::i64;               // of a map

  static Type tensor(DType dtype, Dims dims) { return {ValueKind::tensor, dtype, true, std::move(dims), {}, {}}; }
  static Type unranked(DType dtype) { return {ValueKind::tensor, dtype, false, {}, {}, {}}; }
  static Type sequence(Type element) { return {ValueKind::sequence, element.dtype, false, {}, std::make_shared<Type>(std::move(element)), {}}; }
  static Type optional(Type element) { return {ValueKind::optional, element.dtype, false, {}, std::make_shared<Type>(std::move(element)), {}}; }
  static Type tensor(DType dtype, const Shape& shape) { return tensor(dtype, Dims(shape.begin(), shape.end())); }
  static Type scalar(DType dtype) { return tensor(dtype, Dims{}); }

  bool is_tensor() const { return kind == ValueKind::tensor; }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  // A tensor whose extents are all numbers; any other kind of value, which sizes itself when it runs.
  bool determined() const;
  // Like determined, but extents may also be bounded symbols: a plan places it at its largest size.
  bool placeable() const;
  Shape shape() const;          // of a determined tensor
  Shape largest() const;        // of a placeable tensor: the upper bounds
  bool operator==(const Type& other) const;
};
using Types = std::vector<Type>;
// A list of one, which an initializer list would copy.
inline Types just(Type type) {
  Types types;
  types.push_back(std::move(type));
  return types;
}

inline std::string to_text(const Dim& dim) { return dim.text(); }
std::string to_text(const Type&);                   // "f32[1,3,H,8]", "f32[?]..." , "seq(i64[])"
std::string to_text(std::span<const Type>);         // comma-separated
std::string to_text(std::span<const int64_t> shape);  // "[1,3,8,8]"

// Product of the extents. Throws if it passes limits.h.
int64_t elements(std::span<const int64_t> shape);
// Bytes of a tensor in memory; sub-byte elements are packed. Throws if it passes limits.h.
int64_t bytes_of(DType, std::span<const int64_t> shape);
// Of a placeable tensor at its upper bounds; these allocate nothing.
int64_t largest_elements(const Type&);
int64_t largest_bytes(const Type&);

// The axis, counted from the front. Throws if out of range.
int64_t normal_axis(int64_t axis, int64_t rank, const char* what = "axis");

// The type that describes both: dims that differ become unknown, ranks that differ unranked.
Type generalise(const Type&, const Type&);
}  // namespace engine
