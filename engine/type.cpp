#include "engine/type.h"
#include <algorithm>
#include <array>
#include "engine/saturate.h"

namespace engine {
// op: 's' symbol, '?' unknown, or an operator.
struct Dim::Expr {
  char op;
  std::string name;
  int64_t lower = 0, upper = limits::extent;
  Dim a, b;
  int64_t size = 1;  // symbols, numbers and operators in it
};

Dim Dim::make(Expr e) {
  Dim d;
  d.expr_ = std::make_shared<const Expr>(std::move(e));
  return d;
}
Dim Dim::symbol(std::string name, int64_t lower, int64_t upper) { return make({'s', std::move(name), lower, upper, {}, {}, 1}); }
Dim Dim::unknown() { return make({'?', {}, 0, limits::extent, {}, {}, 1}); }

const std::string& Dim::name() const {
  static const std::string none;
  return expr_ && expr_->op == 's' ? expr_->name : none;
}
int64_t Dim::lower() const { return expr_ ? expr_->lower : value_; }
int64_t Dim::upper() const { return expr_ ? expr_->upper : value_; }

bool operator==(const Dim& a, const Dim& b) {
  if (a.known() || b.known()) return a.known() && b.known() && a.value_ == b.value_;
  if (a.expr_ == b.expr_) return true;
  if (a.expr_->op != b.expr_->op || a.expr_->op == '?') return false;
  if (a.expr_->op == 's') return a.expr_->name == b.expr_->name;
  return a.expr_->a == b.expr_->a && a.expr_->b == b.expr_->b;
}

namespace {
// Bounds never overflow: arithmetic on them saturates.
int64_t clamp(int64_t v) { return std::clamp(v, -limits::extent, limits::extent); }
int64_t wrapping_add(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
int64_t floor_div(int64_t a, int64_t b) { return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0); }
}  // namespace

// Exporters give one name to extents that differ when the model runs (a prompt and its past), so a name cancels itself
// only where the user has bounded it.
namespace {
bool trusted(const Dim& d) { return d.known() || d.bounded(); }
}  // namespace

Dim Dim::combine(char op, const Dim& a, const Dim& b) {
  if (op == '/' || op == '%') {
    require(!b.known() || b.value_ != 0, Code::invalid_model, "a size is divided by zero");
    if (a == b && trusted(a)) return op == '/' ? 1 : 0;
    if (b == Dim(1)) return op == '/' ? a : Dim(0);
  }
  if (a.known() && b.known()) {
    const int64_t x = a.value_, y = b.value_;
    switch (op) {
      case '+': return wrapping_add(x, y);
      case '-': return wrapping_add(x, wrapping_add(~y, 1));
      case '*': {
        const int64_t product = saturated_product(x, y);
        require(product == clamp(product), Code::limit, "a size overflows");
        return product;
      }
      case '/': return floor_div(a.value_, b.value_);
      case 'm': return std::max(x, y);
      default: return a.value_ - floor_div(a.value_, b.value_) * b.value_;
    }
  }
  if (op == 'm') {
    if (a == b && trusted(a)) return a;
    if (a.bounded() && a.upper() <= b.lower()) return b;
    if (b.bounded() && b.upper() <= a.lower()) return a;
  }
  const auto is = [](const Dim& d, int64_t n) { return d.known() && d.value_ == n; };
  if ((op == '+' || op == '-') && is(b, 0)) return a;
  if (op == '+' && a.known()) return combine('+', b, a);
  if (op == '*' && a.known()) return combine('*', b, a);
  if (op == '*' && is(b, 1)) return a;
  if (op == '*' && is(b, 0)) return 0;
  if (op == '-' && b.known()) return combine('+', a, wrapping_add(~b.value_, 1));
  if (op == '-' && a == b && trusted(a)) return 0;
  if (a.expr_ && (op == '+' || op == '-') && a.expr_->op == '+') {
    const Expr& e = *a.expr_;
    if (op == '+' && b.known() && e.b.known()) return combine('+', e.a, wrapping_add(e.b.value_, b.value_));  // (x + c) + d
    if (op == '-' && e.a == b && trusted(b)) return e.b;                                                        // (x + y) - x
    if (op == '-' && e.b == b && trusted(b)) return e.a;
  }
  if (a.expr_ && a.expr_->op == '*' && (op == '/' || op == '*') && b.known() && a.expr_->b.known()) {
    const int64_t c = a.expr_->b.value_;
    if (op == '*') return combine('*', a.expr_->a, clamp(saturated_product(c, b.value_)));
    if (b.value_ > 0 && c % b.value_ == 0) return combine('*', a.expr_->a, c / b.value_);  // (x * 6) / 3
  }
  int64_t lower = 0, upper = limits::extent;
  if (op == '+') lower = clamp(saturated_sum(a.lower(), b.lower())), upper = clamp(saturated_sum(a.upper(), b.upper()));
  if (op == '-') lower = clamp(saturated_sum(a.lower(), wrapping_add(~b.upper(), 1))), upper = clamp(saturated_sum(a.upper(), wrapping_add(~b.lower(), 1)));
  if (op == 'm') lower = std::max(a.lower(), b.lower()), upper = std::max(a.upper(), b.upper());
  if (op == '*' && a.lower() >= 0 && b.lower() >= 0)
    lower = clamp(saturated_product(a.lower(), b.lower())), upper = clamp(saturated_product(a.upper(), b.upper()));
  if (op == '/' && a.lower() >= 0 && b.lower() > 0) lower = a.lower() / b.upper(), upper = a.upper() / b.lower();
  if (op == '%' && b.lower() > 0) lower = 0, upper = b.upper() - 1;
  const auto size = [](const Dim& d) { return d.expr_ ? d.expr_->size : 1; };
  const int64_t total = size(a) + size(b) + 1;
  return total > limits::expression ? unknown() : make({op, {}, lower, upper, a, b, total});
}

Dim Dim::bind_with(const void* context, std::optional<int64_t> (*lookup)(const void*, const std::string&)) const {
  if (known() || expr_->op == '?') return *this;
  if (expr_->op == 's') {
    const auto found = lookup(context, expr_->name);
    return found ? Dim(*found) : *this;
  }
  return combine(expr_->op, expr_->a.bind_with(context, lookup), expr_->b.bind_with(context, lookup));
}

std::string Dim::text() const {
  if (known()) return std::to_string(value_);
  if (expr_->op == '?') return "?";
  if (expr_->op == 's') return expr_->name;
  if (expr_->op == 'm') return cat("max(", expr_->a.text(), ',', expr_->b.text(), ')');
  if (expr_->op == '+' && expr_->b.known() && expr_->b.value_ < 0) return cat('(', expr_->a.text(), expr_->b.value_, ')');
  return cat('(', expr_->a.text(), expr_->op, expr_->b.text(), ')');
}

bool Type::determined() const {
  return !is_tensor() || (ranked && std::ranges::all_of(dims, [](const Dim& d) { return d.known(); }));
}

bool Type::placeable() const {
  return !is_tensor() || (ranked && std::ranges::all_of(dims, [](const Dim& d) { return d.known() || d.bounded(); }));
}

Shape Type::largest() const {
  Shape shape;
  shape.reserve(dims.size());
  for (const Dim& d : dims) shape.push_back(d.upper());
  return shape;
}

Shape Type::shape() const {
  Shape shape;
  shape.reserve(dims.size());
  for (const Dim& d : dims) shape.push_back(d.value());
  return shape;
}

bool Type::operator==(const Type& other) const {
  if (kind != other.kind || dtype != other.dtype) return false;
  if (kind == ValueKind::map) return key == other.key;
  if (!is_tensor()) return !element == !other.element && (!element || *element == *other.element);
  return ranked == other.ranked && dims == other.dims;
}

std::string to_text(const Type& type) {
  if (type.kind == ValueKind::sequence) return cat("seq(", to_text(*type.element), ')');
  if (type.kind == ValueKind::optional) return cat("optional(", to_text(*type.element), ')');
  if (type.kind == ValueKind::map) return cat("map(", name(type.key), ',', name(type.dtype), ')');
  std::string text(name(type.dtype));
  if (!type.ranked) return text + "[...]";
  text += '[';
  for (const Dim& d : type.dims) text.append(text.back() == '[' ? "" : ",").append(d.text());
  return text + ']';
}

std::string to_text(std::span<const Type> types) {
  std::string text;
  for (const Type& type : types) text.append(text.empty() ? "" : ", ").append(to_text(type));
  return text;
}

std::string to_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (int64_t d : shape) text.append(text.back() == '[' ? "" : ",").append(std::to_string(d));
  return text + ']';
}

namespace {
constexpr int64_t most_turns = int64_t{1} << 31;  // of a tensor without elements: loops over its other extents still turn
}

// Planning asks for these again and again: no text is made where there is no error.
int64_t elements(std::span<const int64_t> shape) {
  int64_t count = 1, positive = 1;
  for (int64_t d : shape) {
    if (d < 0) fail(Code::invalid_model, "negative extent in shape ", shape);
    count = saturated_product(count, d), positive = saturated_product(positive, std::max<int64_t>(d, 1));
    if (positive > limits::bytes) fail(Code::limit, "shape ", shape, " is larger than this build allows");
  }
  if (count == 0 && positive > most_turns) fail(Code::limit, "shape ", shape, " is larger than this build allows");
  return count;
}

int64_t bytes_of(DType dtype, std::span<const int64_t> shape) {
  const int64_t bytes = (elements(shape) * bits_of(dtype) + 7) / 8;
  if (bytes > limits::bytes) fail(Code::limit, name(dtype), shape, " is larger than this build allows");
  return bytes;
}

namespace {
// f(upper bounds of the extents).
template <class F> int64_t at_largest(const Type& type, const F& f) {
  std::array<int64_t, limits::rank> shape;
  require(type.dims.size() <= shape.size(), Code::limit, "a tensor has ", type.dims.size(), " dims");
  std::ranges::transform(type.dims, shape.begin(), &Dim::upper);
  return f(std::span<const int64_t>(shape).first(type.dims.size()));
}
}  // namespace

int64_t largest_elements(const Type& type) { return at_largest(type, elements); }
int64_t largest_bytes(const Type& type) {
  return at_largest(type, [&](std::span<const int64_t> shape) { return bytes_of(type.dtype, shape); });
}

int64_t normal_axis(int64_t axis, int64_t rank, const char* what) {
  require(axis >= -rank && axis < rank, Code::invalid_model, what, ' ', axis, " is out of range for rank ", rank);
  return axis < 0 ? axis + rank : axis;
}

Type generalise(const Type& a, const Type& b) {
  if (a == b || a.kind != b.kind || a.dtype != b.dtype) return a;
  if (a.element && b.element) {
    Type element = generalise(*a.element, *b.element);
    return a.kind == ValueKind::sequence ? Type::sequence(std::move(element)) : Type::optional(std::move(element));
  }
  if (!a.is_tensor()) return a;
  if (!a.ranked || !b.ranked || a.rank() != b.rank()) return Type::unranked(a.dtype);
  Type type = a;
  for (size_t i = 0; i < type.dims.size(); ++i)
    if (!(a.dims[i] == b.dims[i])) type.dims[i] = Dim::unknown();
  return type;
}
}  // namespace engine
