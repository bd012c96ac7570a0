#include "kernels/pack.h"
#include <gtest/gtest.h>
#include <vector>

namespace kernels {
namespace {
// Around the four rows of a block and the 16 elements of a line, from a start that no vector is aligned to.
TEST(Pack, RowsBecomeColumns) {
  for (int64_t columns : {0, 1, 3, 4, 5, 8, 17})
    for (int64_t width : {columns, columns + 3})
      for (int64_t count : {0, 1, 3, 4, 15, 16, 17, 37}) {
        const int64_t stride = count + 2;
        std::vector<float> from(static_cast<size_t>(columns * stride + 1)), to(static_cast<size_t>(count * (width + 1) + 1), -1);
        for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i + 1);
        // The k-th row lies where the caller wants it: here from the last to the first.
        const auto place = [&](int64_t k) { return to.data() + (count - 1 - k) * (width + 1) + 1; };
        pack_columns(from.data() + 1, stride, columns, width, count, place);
        for (int64_t k = 0; k < count; ++k) {
          for (int64_t c = 0; c < width; ++c)
            ASSERT_EQ(place(k)[c], c < columns ? from[static_cast<size_t>(1 + c * stride + k)] : 0.0f) << columns << " of " << width << " columns, " << count << " rows";
          ASSERT_EQ(place(k)[-1], -1) << "wrote in front of a row";
        }
      }
}
}  // namespace
}  // namespace kernels
