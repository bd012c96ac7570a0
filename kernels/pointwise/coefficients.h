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

// x · p(x²) / q(x²), and ±1 to within an ulp from the limit on. Highest power first.
inline constexpr float tanh_limit = 7.90531110763549805f;
inline constexpr float tanh_p[] = {-2.76076847742355e-16f, 2.00018790482477e-13f, -8.60467152213735e-11f,
                                   5.12229709037114e-08f,  1.48572235717979e-05f, 6.37261928875436e-04f,
                                   4.89352455891786e-03f};
inline constexpr float tanh_q[] = {1.19825839466702e-06f, 1.18534705686654e-04f, 2.26843463243900e-03f,
                                   4.89352518554385e-03f};

inline constexpr float erf_limit = 4.0f;
inline constexpr float erf_p[] = {-2.72614225801306e-10f, 2.77068142495902e-08f,  -2.10102402082508e-06f,
                                  -5.69250639462346e-05f, -7.34990630326855e-04f, -2.95459980854025e-03f,
                                  -1.60960333262415e-02f};
inline constexpr float erf_q[] = {-1.45660718464996e-05f, -2.13374055278905e-04f, -1.68282697438203e-03f,
                                  -7.37332916720468e-03f, -1.42647390514189e-02f};

// gelu(x) is 0 to within its tolerance below this, where x times the rounding of 1 + erf would not be.
inline constexpr float gelu_least = -6.0f;
inline constexpr float sqrt_half = 0.70710678118654752440f, sqrt_two_over_pi = 0.79788456080286535588f,
                       gelu_cubic = 0.044715f;
}  // namespace kernels::pointwise::coefficients
