// The discrete Fourier transform of any length n in O(n log n), in double.
#pragma once
#include <memory>
#include "engine/budget.h"

namespace engine {
struct Complex {
  double re = 0, im = 0;
  friend Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
  friend Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
  friend Complex operator*(Complex a, Complex b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
};
inline Complex conjugate(Complex z) { return {z.re, -z.im}; }

// What transforms of one length have in common. Stockham's autosort form of the mixed-radix algorithm, after C. Van
// Loan, "Computational Frameworks for the Fast Fourier Transform", 1992, section 1.7; a length with a large prime
// factor becomes a convolution of a length that has none, after L. I. Bluestein, "A linear filtering approach to the
// computation of discrete Fourier transform", 1970.
class Fft {
 public:
  explicit Fft(int64_t n);  // of at least 1

  // z[k] becomes the sum over t of z[t] exp(-2 pi i k t / n), for n elements from z on.
  void forward(Complex* z);
  // z[t] becomes 1/n times the sum over k of z[k] exp(2 pi i k t / n).
  void inverse(Complex* z);

 private:
  template <int radix> void pass(int p, const Complex* from, Complex* to, int64_t done) const;
  void convolve(Complex* z);

  int64_t n_;
  std::vector<int> factors_;  // none: a convolution
  Scratch<Complex> roots_;    // exp(-2 pi i k / n), of a convolution exp(-pi i k^2 / n)
  Scratch<Complex> work_;
  Scratch<Complex> filter_;  // of a convolution: the transform of the conjugates of the roots
  std::unique_ptr<Fft> of_filter_;
};
}  // namespace engine
