// What the normalisations have in common.
#pragma once
#include <cmath>
#include <cstdint>

namespace engine {
struct Moments {
  double mean = 0, variance = 0;
};
// Of elements first … first + count - 1. Without a mean: the mean square.
template <class R> Moments moments(const R& read, int64_t first, int64_t count, bool subtract_mean = true) {
  Moments m;
  for (int64_t i = first; subtract_mean && i < first + count; ++i) m.mean += read(i);
  m.mean /= double(count);
  for (int64_t i = first; i < first + count; ++i) m.variance += (read(i) - m.mean) * (read(i) - m.mean);
  m.variance /= double(count);
  return m;
}
}  // namespace engine
