#include "engine/error.h"
#include <charconv>

namespace engine {
namespace {
template <class... T> void append_chars(std::string& text, T... number) {
  char digits[32];
  text.append(digits, std::to_chars(digits, digits + sizeof digits, number...).ptr);
}
}  // namespace
void append(std::string& text, int64_t number) { append_chars(text, number); }
void append(std::string& text, uint64_t number) { append_chars(text, number); }
void append(std::string& text, double number) { append_chars(text, number, std::chars_format::general, 6); }
}  // namespace engine
