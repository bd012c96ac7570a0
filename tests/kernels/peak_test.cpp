#include "kernels/peak.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;

TEST(Peak, IsPositiveAndSane) {
  for (const auto& level : test::caps())
    for (const int threads : {1, 2}) {
      SCOPED_TRACE(std::string(level.name) + ", threads: " + std::to_string(threads));
      ThreadPool pool(threads);
      for (const double rate : {peak_flops(level.mask, pool, 0.001), memory_bandwidth(level.mask, pool, 0.001),
                                cache_bandwidth(level.mask, pool, 0.001), peak_flops(level.mask, pool, 0.001, Precision::f16)}) {
        EXPECT_GT(rate, 1e6);
        EXPECT_LT(rate, 1e15);
      }
    }
}
}  // namespace
