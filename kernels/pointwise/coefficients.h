// The approximations that vector code shares, whether written with Highway or emitted by Xbyak.
#pragma once

namespace kernels::pointwise::coefficients {
// exp(x) = 2^n · (1 + r + r²·q(r)), n = round(x / ln 2), r = x - n·ln 2 with ln 2 in two parts. Highest power first.
inline constexpr float log2e = 1.44269504088896341f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
inline constexpr float exp_q[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                  4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
// 2^x for 0 <= x < 1, to within 2e-9 before rounding (least squares of the relative error, reweighted toward its maximum).
inline constexpr float exp2_p[] = {2.17022549e-4f, 1.24396884e-3f, 9.67884064e-3f, 5.54833412e-2f,
                                   2.4022983e-1f,  6.93147004e-1f, 1.0f};
// Between these limits 2^n is a product of two finite floats; outside, exp is 0 or infinity anyway.
inline constexpr float exp_least = -104.0f, exp_most = 89.0f;
// expm1(x) = 2^n · (r + r²·q(r)) + (2^n - 1); it is -1 below, and the upper limit keeps 2^n finite.
inline constexpr float expm1_least = -25.0f, expm1_most = 88.0f;

// x · p(x²) / q(x²), highest power first. The last of each is near 1, so that x · p(x²) keeps the bits of a tiny x. At the limit
// this rounds to 1, whichever way it is divided, and to no more below.
inline constexpr float tanh_limit = 8.12742043f;
inline constexpr float tanh_p[] = {-7.06756702e-14f, 5.12048112e-11f, -2.20279599e-08f, 1.3113081e-05f,
                                   3.80344922e-03f,  1.6313906e-01f,  1.25274229f};
inline constexpr float tanh_q[] = {3.0675414e-04f, 3.03448848e-02f, 5.80719292e-01f, 1.25274241f};

inline constexpr float erf_limit = 3.6730485f;
inline constexpr float erf_p[] = {1.74473112e-08f, -1.77323614e-06f, 1.34465532e-04f, 3.64320399e-03f,
                                  4.70394008e-02f, 1.89094394e-01f,  1.03014612f};
inline constexpr float erf_q[] = {9.32228577e-04f, 1.36559391e-02f, 1.07700929e-01f, 4.71893072e-01f, 9.12943304e-01f};

// gelu(x) is 0 below this, as x · (1 + erf) is for any x but minus infinity.
inline constexpr float gelu_least = -6.0f;
inline constexpr float sqrt_half = 0.70710678118654752440f, sqrt_two_over_pi = 0.79788456080286535588f,
                       gelu_cubic = 0.044715f;
}  // namespace kernels::pointwise::coefficients
