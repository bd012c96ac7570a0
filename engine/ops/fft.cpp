#include "engine/ops/fft.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace engine {
namespace {
constexpr int largest_radix = 31;  // in a pass of its own; a larger prime costs more than a convolution

// exp(-2 pi i k / n) for 0 <= k < n, from an angle of the first quadrant: multiples of a quarter turn are exact.
Complex root(int64_t k, int64_t n) {
  const int64_t quarter = k * 4 / n;
  const double angle = std::numbers::pi / 2 * (double(k * 4 - quarter * n) / double(n));
  const double c = std::cos(angle), s = std::sin(angle);
  switch (quarter) {
    case 0: return {c, -s};
    case 1: return {-s, -c};
    case 2: return {-c, s};
    default: return {s, c};
  }
}

// The factors of n, 4 before 2; empty if a prime is too large.
std::vector<int> factor(int64_t n) {
  std::vector<int> factors;
  for (int p : {4, 2})
    for (; n % p == 0; n /= p) factors.push_back(p);
  for (int p = 3; p <= largest_radix; p += 2)
    for (; n % p == 0; n /= p) factors.push_back(p);
  if (n == 1) return factors;
  return {};
}
}  // namespace

Fft::Fft(int64_t n) : n_(n), factors_(factor(n)), roots_(size_t(n)), work_(size_t(n)) {
  if (n == 1) return;
  if (!factors_.empty()) {
    for (int64_t k = 0; k < n; ++k) roots_[k] = root(k, n);
    return;
  }
  for (int64_t k = 0, square = 0; k < n; square = (square + 2 * k + 1) % (2 * n), ++k) roots_[k] = root(square, 2 * n);  // k² mod 2n
  const auto length = int64_t(std::bit_ceil(uint64_t(2 * n - 1)));
  of_filter_ = std::make_unique<Fft>(length);
  filter_.resize(size_t(length)), work_.resize(size_t(length));
  filter_[0] = conjugate(roots_[0]);
  for (int64_t k = 1; k < n; ++k) filter_[k] = filter_[length - k] = conjugate(roots_[k]);
  of_filter_->forward(filter_.data());
}

// Joins the transforms of p parts, `done` elements each, of every run of p * done elements.
template <int radix> void Fft::pass(int p, const Complex* from, Complex* to, int64_t done) const {
  if constexpr (radix != 0) p = radix;
  const int64_t runs = n_ / (done * p), turn = n_ / p;
  for (int64_t s = 0; s < runs; ++s)
    for (int64_t j = 0; j < done; ++j) {
      Complex a[radix != 0 ? radix : largest_radix];
      for (int t = 0; t < p; ++t) a[t] = from[(s + runs * t) * done + j] * roots_[j * t * runs];
      Complex* const y = to + s * p * done + j;
      if constexpr (radix == 2) {
        y[0] = a[0] + a[1], y[done] = a[0] - a[1];
      } else if constexpr (radix == 4) {
        const Complex even = a[0] + a[2], odd = a[1] + a[3], rest = a[0] - a[2], difference = a[1] - a[3];
        const Complex turned{difference.im, -difference.re};
        y[0] = even + odd, y[2 * done] = even - odd;
        y[done] = rest + turned, y[3 * done] = rest - turned;
      } else {
        for (int q = 0; q < p; ++q) {
          Complex sum = a[0];
          for (int t = 1; t < p; ++t) sum = sum + a[t] * roots_[q * t % p * turn];
          y[q * done] = sum;
        }
      }
    }
}

// k t is (k^2 + t^2 - (k - t)^2) / 2.
void Fft::convolve(Complex* z) {
  for (int64_t k = 0; k < n_; ++k) work_[k] = z[k] * roots_[k];
  std::fill(work_.begin() + n_, work_.end(), Complex{});
  of_filter_->forward(work_.data());
  for (size_t k = 0; k < work_.size(); ++k) work_[k] = work_[k] * filter_[k];
  of_filter_->inverse(work_.data());
  for (int64_t k = 0; k < n_; ++k) z[k] = work_[k] * roots_[k];
}

void Fft::forward(Complex* z) {
  if (n_ == 1) return;
  if (of_filter_) return convolve(z);
  Complex *from = z, *to = work_.data();
  int64_t done = 1;
  for (int p : factors_) {
    switch (p) {
      case 2: pass<2>(p, from, to, done); break;
      case 3: pass<3>(p, from, to, done); break;
      case 4: pass<4>(p, from, to, done); break;
      case 5: pass<5>(p, from, to, done); break;
      default: pass<0>(p, from, to, done); break;
    }
    done *= p;
    std::swap(from, to);
  }
  if (from != z) std::copy_n(from, n_, z);
}

void Fft::inverse(Complex* z) {
  for (int64_t k = 0; k < n_; ++k) z[k] = conjugate(z[k]);
  forward(z);
  for (int64_t k = 0; k < n_; ++k) z[k] = {z[k].re / double(n_), -z[k].im / double(n_)};
}
}  // namespace engine
