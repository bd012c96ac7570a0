#include "tests/kernels/util.h"

namespace {
using test::Buffer;

TEST(Buffer, FaultsWhereItEnds) {
  const size_t page = kernels::os::page_size();
  bool before = false, behind = false, unaligned = false;
  for (int i = 0; i < 20; ++i) {
    const Buffer b(16);
    EXPECT_TRUE(b.guards_intact());
    float *first = b.data(), *end = first + b.size();
    if (reinterpret_cast<uintptr_t>(first) % page == 0 && !std::exchange(before, true)) {
      EXPECT_DEATH(first[-1] = 0, "");
    } else if (reinterpret_cast<uintptr_t>(end) % page == 0 && !std::exchange(behind, true)) {
      EXPECT_DEATH(*end = 0, "");
    }
    unaligned |= reinterpret_cast<uintptr_t>(first) % 64 != 0;
  }
  EXPECT_TRUE(before && behind && unaligned);
}

TEST(Buffer, NoticesWritesIntoItsOwnPages) {
  for (int i = 0; i < 20; ++i) {
    const Buffer b(5);
    const bool begins = reinterpret_cast<uintptr_t>(b.data()) % kernels::os::page_size() == 0;
    *(begins ? b.data() + b.size() + 30 : b.data() - 30) = 1;
    EXPECT_FALSE(b.guards_intact());
  }
}
}  // namespace
