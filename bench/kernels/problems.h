// The problems that kernels are measured on, as `inlay kernels --bench` takes them, and the libraries that they are
// compared with where these are installed. A name is KERNEL/PROBLEM[/threads:N], so that --benchmark_filter takes both.
#pragma once
#include <benchmark/benchmark.h>
#include <span>
#include <string>
#include "kernels/peak.h"
#include "kernels/threads.h"

namespace bench {
// Layers of ResNet-50, MobileNet v2 and BERT.
inline constexpr const char* gemm_problems[] = {"m512,n512,k512",
                                                "m128,n768,k768",
                                                "m128,n3072,k768",
                                                "m128,n768,k3072",
                                                "m1,n1000,k1280",
                                                "m1,n512,k256",
                                                "m128,n128,k64,dynamic,transposed",
                                                "m128,n64,k128,dynamic"};
inline constexpr const char* gemm_s8_problems[] = {"m512,n512,k512", "m128,n768,k768", "m128,n3072,k768", "m1,n1000,k1280"};
inline constexpr const char* conv_problems[] = {"1x3x224x224,oc64,k7,s2,p3,nchw",
                                                "1x64x56x56,oc64,k3,p1",
                                                "1x64x56x56,oc256",
                                                "1x256x56x56,oc64",
                                                "1x128x28x28,oc128,k3,p1",
                                                "1x256x14x14,oc256,k3,p1",
                                                "1x512x7x7,oc512,k3,p1",
                                                "1x1024x14x14,oc256",
                                                "1x128x56x56,oc128,k3,s2,p1",
                                                "1x96x56x56,oc24",
                                                "1x144x56x56,oc144,k3,p1,g144",
                                                "1x384x14x14,oc384,k3,p1,g384",
                                                "1x96x112x112,oc96,k3,s2,p1,g96",
                                                "1x240x28x28,oc240,k5,p2,g240",
                                                "1x64x56x56,oc64,k3,p1,g4"};
inline constexpr const char* pointwise_problems[] = {"relu,n4096", "sigmoid,n4096", "silu,n4096", "tanh,n4096",
                                                     "gelu,n4096", "elu,n4096",     "add,n4096",  "add+relu,n4096"};
inline constexpr const char* rnn_problems[] = {"lstm,t16,b1,i128,h128", "gru,t100,b1,i256,h256"};
inline constexpr const char* image_problems[] = {"1920x1080,rgb,to224x224", "1920x1080,rgba,to224x224",
                                                 "1920x1080,nv12,to224x224", "1920x1080,rgb,to640x640,letterbox",
                                                 "1920x1080,rgb"};

inline std::string name(std::string_view kernel, std::string_view problem, int threads) {
  return std::string(kernel) + "/" + std::string(problem) + (threads > 1 ? "/threads:" + std::to_string(threads) : "");
}

// Times run(), and reports its rate beside what a loop of multiply-adds on registers reaches.
template <class Run>
void measure(benchmark::State& state, double flops, kernels::isa::Mask isa, kernels::ThreadPool& pool, Run&& run) {
  const double peak = kernels::peak_flops(isa, pool, 0.005);
  for (auto _ : state) run();
  const double done = flops * static_cast<double>(state.iterations());
  if (done <= 0) return;
  state.counters["GFLOP/s"] = benchmark::Counter(done * 1e-9, benchmark::Counter::kIsRate);
  if (peak > 0) state.counters["%peak"] = benchmark::Counter(100 * done / peak, benchmark::Counter::kIsRate);
}

using Problems = std::span<const char* const>;
void add_onednn(Problems gemm, Problems conv, int threads);
void add_eigen(Problems gemm, int threads);
}  // namespace bench
