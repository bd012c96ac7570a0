// UTF-8 from and to code points. What is not valid becomes U+FFFD.
#pragma once
#include <string>
#include <string_view>

namespace tools {
inline constexpr char32_t replacement = 0xfffd;
inline bool valid_point(char32_t c) { return c < 0x110000 && (c < 0xd800 || c > 0xdfff); }

inline std::string to_utf8(std::u32string_view points) {
  std::string out;
  for (char32_t c : points) {
    if (!valid_point(c)) c = replacement;
    if (c < 0x80) {
      out += char(c);
      continue;
    }
    const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    out += char((0xf00 >> (more + 1) & 0xff) | c >> 6 * more);
    for (int k = more; k-- > 0;) out += char(0x80 | (c >> 6 * k & 0x3f));
  }
  return out;
}

inline std::u32string from_utf8(std::string_view text) {
  std::u32string out;
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
    const unsigned first = byte(i);
    const size_t more = first < 0x80                    ? 0
                        : first >= 0xc2 && first < 0xe0 ? 1
                        : first >= 0xe0 && first < 0xf0 ? 2
                        : first >= 0xf0 && first < 0xf5 ? 3
                                                        : 4;
    char32_t c = more == 4 ? replacement : more ? first & (0x3f >> more) : first;
    size_t used = 1;
    for (; more < 4 && used <= more && (byte(i + used) & 0xc0) == 0x80; ++used) c = c << 6 | (byte(i + used) & 0x3f);
    constexpr char32_t least[] = {0, 0x80, 0x800, 0x10000, 0};
    if (more == 4 || used != more + 1 || c < least[more] || !valid_point(c)) c = replacement;
    out += c;
    i += used;
  }
  return out;
}
}  // namespace tools
