// How cold phases (convert, load, compile) fail: one exception type, thrown through require().
#pragma once
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace engine {
// Numbered for the C ABI: append only.
enum class Code : int32_t {
  invalid_argument = 1,  // the caller's: a name, shape, dtype or option
  invalid_model = 2,     // the model contradicts itself or the format
  unsupported = 3,       // valid, but not something this build does
  limit = 4,             // larger than limits.h, or the caller's cap, allows
  io = 5,                // the operating system's answer
  cancelled = 6,
  out_of_memory = 7,
  timeout = 8,
  busy = 9,
  internal = 10,
  device = 11,  // the answer of a device or its driver
};

struct Error : std::runtime_error {
  Error(Code, std::string message);  // a zero byte, which a name in a file may hold, does not end it
  Code code;
};

// The parts, printed one after the other. What it costs to print a part is paid where there is a message to
// make: a part may be anything that to_text takes, or a function that makes a text.
void append(std::string& text, int64_t number);
void append(std::string& text, uint64_t number);
void append(std::string& text, double number);  // six digits
std::string to_text(std::span<const int64_t> shape);  // "[1,3,8,8]"
template <class T> void append_part(std::string& text, const T& part) {
  if constexpr (std::is_same_v<T, char>) text += part;
  else if constexpr (std::is_floating_point_v<T>) append(text, double(part));
  else if constexpr (std::is_unsigned_v<T>) append(text, uint64_t(part));  // bool too
  else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) append(text, int64_t(part));
  else if constexpr (std::is_invocable_v<const T&>) text += part();
  else if constexpr (std::is_convertible_v<const T&, std::string_view>) text += std::string_view(part);
  else text += to_text(part);
}
template <class... Parts> std::string cat(const Parts&... parts) {
  std::string text;
  (append_part(text, parts), ...);
  return text;
}

template <class... Parts> [[noreturn]] void fail(Code code, const Parts&... message) { throw Error(code, cat(message...)); }
template <class... Parts> void require(bool ok, Code code, const Parts&... message) {
  if (!ok) fail(code, message...);
}

// Calls f; an error from it gets `context: ` in front, whose parts are printed then.
template <class F, class... Parts> decltype(auto) with_context(F&& f, const Parts&... context) {
  try {
    return f();
  } catch (const Error& e) {
    fail(e.code, context..., ": ", e.what());
  }
}
}  // namespace engine
