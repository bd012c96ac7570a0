// Op: an immutable value that holds any one of the structs in ops.h. Copying shares the parameters.
#pragma once
#include <memory>
#include <type_traits>
#include "schema/ops.h"
#include "schema/ops_generation.h"
#include "schema/ops_ml.h"
#include "schema/ops_recurrent.h"

namespace schema {
enum class OpId : uint16_t {
#define OP SCHEMA_ENUMERATOR
#include "schema/ops.inc"
};
template <> inline constexpr auto names<OpId> = std::to_array<std::string_view>({
#define OP SCHEMA_NAME
#include "schema/ops.inc"
});
template <class T> struct IdOf;
#define OP(T) template <> struct IdOf<T> : std::integral_constant<OpId, OpId::T> {};
#include "schema/ops.inc"
template <class T> concept AnOp = requires { IdOf<T>::value; };

// An op that target passes make and that no file holds.
template <AnOp T> constexpr bool portable = [] {
  if constexpr (requires { T::portable; }) return T::portable;
  else return true;
}();

namespace detail {
struct Any { template <class T> operator T() const; };
template <class T, class... A> constexpr size_t count_members(A... a) {
  if constexpr (requires { T{a..., Any{}}; }) return count_members<T>(a..., Any{});
  else return sizeof...(a);
}
template <class T> constexpr size_t count_fields() {
  size_t n = 0;
  T::visit_fields([&](auto, auto) { ++n; });
  return n;
}
#define OP(T) static_assert(count_members<T>() == count_fields<T>(), "visit_fields of " #T " misses a member");
#include "schema/ops.inc"
}  // namespace detail

class Op {
 public:
  template <AnOp T> Op(T params) : id_(IdOf<T>::value), params_(std::make_shared<const T>(std::move(params))) {}
  Op(const Op&) = default;  // no move: an Op is never empty
  Op& operator=(const Op&) = default;

  OpId id() const { return id_; }
  template <AnOp T> const T* get_if() const {
    return id_ == IdOf<T>::value ? static_cast<const T*>(params_.get()) : nullptr;
  }

 private:
  OpId id_;
  std::shared_ptr<const void> params_;
};

// Calls f with the parameters, as their own type.
template <class F> decltype(auto) visit(F&& f, const Op& op) {
  switch (op.id()) {
#define OP(T) case OpId::T: return f(*op.get_if<T>());
#include "schema/ops.inc"
  }
  __builtin_unreachable();
}

bool operator==(const Op&, const Op&);  // same op, equal fields
}  // namespace schema
