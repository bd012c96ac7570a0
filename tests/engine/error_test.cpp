#include "engine/error.h"
#include <gtest/gtest.h>
#include <limits>
#include "engine/type.h"

namespace engine {
namespace {
TEST(Text, OfParts) {
  EXPECT_EQ(cat(), "");
  EXPECT_EQ(cat("a", 'b', std::string("c"), std::string_view("d")), "abcd");
  EXPECT_EQ(cat(std::numeric_limits<int64_t>::min(), ' ', std::numeric_limits<uint64_t>::max(), ' ', uint8_t{65}, ' ', true),
            "-9223372036854775808 18446744073709551615 65 1");
  EXPECT_EQ(cat(0.5, ' ', 1e30f, ' ', 1.0 / 3, ' ', std::numeric_limits<double>::infinity(), ' ', -0.0), "0.5 1e+30 0.333333 inf -0");
  EXPECT_EQ(cat(Code::limit), "4");
}

// What costs something to print is printed where there is a message.
TEST(Error, TextIsMadeWhereItIsNeeded) {
  int made = 0;
  const auto text = [&] { return std::to_string(++made); };
  require(true, Code::io, "never ", text);
  EXPECT_EQ(with_context([] { return 7; }, text), 7);
  EXPECT_EQ(made, 0);
  EXPECT_EQ(cat("a", text, Dim::symbol("n"), Type::tensor(DType::f32, Dims{2, 3})), "a1nf32[2,3]");
}

TEST(Error, MessagesHaveNoZeroBytes) {
  EXPECT_STREQ(Error(Code::limit, std::string("\0a\0", 3)).what(), "?a?");
}

TEST(Error, ContextComesFirst) {
  try {
    with_context([] { fail(Code::io, "why"); }, "where", 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "where1: why");
    EXPECT_EQ(e.code, Code::io);
  }
}
}  // namespace
}  // namespace engine
