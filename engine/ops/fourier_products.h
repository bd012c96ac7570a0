// Dft and Stft on a device: products by a table of the transform.
#pragma once
#include "engine/device_lowering.h"

namespace engine {
// Of `n` elements, of which the first `given` are there, each real or complex: the first `results` terms.
struct Transform {
  int64_t n = 1, given = 1, results = 1;
  int parts = 1;  // of an element: 1 real, 2 complex
  bool inverse = false;
  bool real = false;             // the inverse of a spectrum's first half, whose result is real
  std::vector<double> window{};  // by element; empty: 1
};
// y [batch, rows, results, 1 or 2]: row r of a batch begins at element r * step of its `length`.
std::optional<Lowered> lower_transform(const LowerContext&, const Transform&, int64_t batch, int64_t length,
                                       int64_t rows, int64_t step);
}  // namespace engine
