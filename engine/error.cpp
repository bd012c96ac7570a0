#include "engine/error.h"
#include <algorithm>
#include <charconv>

namespace engine {
namespace {
template <class... T> void append_chars(std::string& text, T... number) {
  char digits[32];
  text.append(digits, std::to_chars(digits, digits + sizeof digits, number...).ptr);
}
std::string without_zeros(std::string text) {
  std::replace(text.begin(), text.end(), '\0', '?');
  return text;
}
}  // namespace
Error::Error(Code code, std::string message) : std::runtime_error(without_zeros(std::move(message))), code(code) {}

void append(std::string& text, int64_t number) { append_chars(text, number); }
void append(std::string& text, uint64_t number) { append_chars(text, number); }
void append(std::string& text, double number) { append_chars(text, number, std::chars_format::general, 6); }
}  // namespace engine
