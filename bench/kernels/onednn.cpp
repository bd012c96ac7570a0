// oneDNN's products and convolutions on the problems of ours: channels last (also where ours reads channels first, for
// which it has reference code only), weights in the form that it prefers, packed ahead.
#include <dnnl.hpp>
#include <omp.h>
#include "bench/kernels/problems.h"
#include "tools/problem.h"

namespace bench {
namespace {
using dnnl::memory;
using tag = memory::format_tag;
constexpr auto f32 = memory::data_type::f32;

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// The weights as the primitive wants them.
memory packed(dnnl::stream& stream, const memory::desc& given, void* data, const memory::desc& wanted) {
  memory from(given, engine(), data), to(wanted, engine());
  dnnl::reorder(from, to).execute(stream, from, to);
  return to;
}

template <class Primitive, class Description>
void run(benchmark::State& state, const Description& d, double flops, int threads, memory x,
         const memory::desc& w_given, const tools::Numbers& w, memory bias, memory y) {
  dnnl::stream stream(engine());
  const memory weights = packed(stream, w_given, w.data(), d.weights_desc());
  const Primitive primitive(d);
  kernels::ThreadPool pool(threads);
  measure(state, flops, kernels::isa::detected(), pool, [&] {
    primitive.execute(stream,
                      {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, y}});
    stream.wait();
  });
}

void run_gemm(benchmark::State& state, const tools::GemmProblem& p, int threads) {
  omp_set_num_threads(threads);
  const int64_t m = p.m, n = p.spec.n, k = p.spec.k;
  const tools::Numbers a(m * k), b(k * n), bias(n), c(m * n);
  const bool constant = p.spec.b == kernels::gemm::B::packed;
  const memory::desc a_desc({m, k}, f32, tag::ab), b_desc({k, n}, f32, p.spec.transposed_b ? tag::ba : tag::ab),
      any({k, n}, f32, tag::any), bias_desc({1, n}, f32, tag::ab), c_desc({m, n}, f32, tag::ab);
  const dnnl::matmul::primitive_desc d(dnnl::matmul::desc(a_desc, constant ? any : b_desc, bias_desc, c_desc),
                                       engine());
  run<dnnl::matmul>(state, d, p.flops(), threads, memory(a_desc, engine(), a.data()), b_desc, b,
                    memory(bias_desc, engine(), bias.data()), memory(c_desc, engine(), c.data()));
}

void run_conv(benchmark::State& state, const tools::ConvProblem& p, int threads) {
  omp_set_num_threads(threads);
  const kernels::conv::Spec& s = p.spec;
  const int64_t oh = s.out_height(p.height), ow = s.out_width(), in = s.channels / s.groups,
                out = s.out_channels / s.groups;
  const tools::Numbers x(p.batch * s.channels * p.height * s.width), w(s.out_channels * in * s.kernel_h * s.kernel_w),
      bias(s.out_channels), y(p.batch * s.out_channels * oh * ow);
  const memory::dims w_dims = s.groups > 1 ? memory::dims{s.groups, out, in, s.kernel_h, s.kernel_w}
                                           : memory::dims{out, in, s.kernel_h, s.kernel_w};
  const memory::desc x_desc({p.batch, s.channels, p.height, s.width}, f32, tag::nhwc),
      w_desc(w_dims, f32, s.groups > 1 ? tag::goihw : tag::oihw), any(w_dims, f32, tag::any),
      bias_desc({s.out_channels}, f32, tag::a), y_desc({p.batch, s.out_channels, oh, ow}, f32, tag::nhwc);
  const dnnl::convolution_forward::primitive_desc d(
      dnnl::convolution_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_auto, x_desc,
                                      any, bias_desc, y_desc, {s.stride_h, s.stride_w},
                                      {s.dilation_h - 1, s.dilation_w - 1}, {s.pad_top, s.pad_left},
                                      {s.pad_bottom, s.pad_right}),
      engine());
  run<dnnl::convolution_forward>(state, d, p.flops(), threads, memory(x_desc, engine(), x.data()), w_desc, w,
                                 memory(bias_desc, engine(), bias.data()), memory(y_desc, engine(), y.data()));
}

template <class Problem>
void add(const char* kernel, const char* text, int threads, Problem problem,
         void (*run)(benchmark::State&, const Problem&, int)) {
  benchmark::RegisterBenchmark(name(kernel, text, threads).c_str(),
                               [=](benchmark::State& state) { run(state, problem, threads); })
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}
}  // namespace

void add_onednn(Problems gemm, Problems conv, int threads) {
  for (const char* text : gemm) add("gemm_f32_onednn", text, threads, tools::parse_gemm(text), run_gemm);
  for (const char* text : conv) add("conv_f32_onednn", text, threads, tools::parse_conv(text), run_conv);
}
}  // namespace bench
