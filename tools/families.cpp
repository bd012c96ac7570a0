// The families of kernels, as the command and the micro-benchmarks list them.
#include "kernels/attention/attention.h"
#include "kernels/conv_transpose/conv_transpose.h"
#include "kernels/gemm_narrow/gemm_narrow.h"
#include "kernels/gemm_s8/gemm_s8.h"
#include "kernels/half/half.h"
#include "kernels/image/image.h"
#include "kernels/jit.h"
#include "kernels/norm/norm.h"
#include "kernels/pad/pad.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/pool/pool.h"
#include "kernels/quantize/quantize.h"
#include "kernels/reduce/reduce.h"
#include "kernels/resize/resize.h"
#include "kernels/rnn/rnn.h"
#include "kernels/softmax/softmax.h"
#include "kernels/transpose/transpose.h"
#include "kernels/tree/tree.h"
#include "tools/problem.h"

namespace tools {
using namespace kernels;
namespace {
template <class Row> void add(std::vector<KernelRow>& all, std::string_view family, std::span<const Row> rows) {
  for (const Row& row : rows) all.push_back({family, row.name, row.isa, row.tile});
}
}  // namespace

std::span<const KernelRow> kernel_rows() {
  static const std::vector<KernelRow> table = [] {
    std::vector<KernelRow> all;
    add(all, "gemm", gemm::rows());
    add(all, "gemm_narrow", gemm_narrow::rows());
    add(all, "gemm_s8", gemm_s8::rows());
    add(all, "conv", conv::rows());
    add(all, "conv_transpose", conv_transpose::rows());
    add(all, "pointwise", pointwise::rows());
    add(all, "pool", pool::rows());
    add(all, "reduce", reduce::rows());
    add(all, "softmax", softmax::rows());
    add(all, "quantize", quantize::rows());
    add(all, "half", half::rows());
    add(all, "norm", norm::rows());
    add(all, "attention", attention::rows());
    add(all, "resize", resize::rows());
    add(all, "transpose", transpose::rows());
    add(all, "pad", pad::rows());
    add(all, "rnn", rnn::rows());
    add(all, "tree", tree::rows());
    add(all, "image", image::rows());
    return all;
  }();
  return table;
}

std::span<const ProblemForm> problem_forms() {
  static constexpr ProblemForm forms[] = {
      {"gemm", gemm_problem, "m128,n256,k512",
       "m, n, k; dynamic: B is no constant; transposed: B is [N,K]; inplace: and may stay so for one row;\n"
       "            fp16: operands may be rounded"},
      {"gemm_s8", gemm_s8_problem, "m128,n256,k512", "m, n, k"},
      {"conv", conv_problem, "1x64x56x56,oc64,k3x3,s1,p1",
       "NxCxHxW; oc: output channels; k, s, d: kernel, stride, dilation, down and across;\n"
       "            p: padding, all round or down, across or top, left, bottom, right; g: groups;\n"
       "            nchw: the input is channels first; strict: no Winograd; fp16: operands may be rounded"},
      {"pointwise", pointwise_problem, "add+relu,n65536", "functions of a chain; n: elements"},
      {"rnn", rnn_problem, "lstm,t16,b1,i256,h256", "lstm, gru or rnn; t: steps; b: batch; i: inputs; h: hidden units"},
      {"image", image_problem, "1920x1080,nv12,to224x224",
       "WxH; rgb, rgba, bgr, bgra, nv12 or grey; to: resized; letterbox"}};
  return forms;
}

Problem parse_problem(std::string_view family, const std::string& text) {
  for (const ProblemForm& form : problem_forms())
    if (form.family == family) return form.parse(text);
  throw ProblemError("no problem is known of the family '" + std::string(family) + "'");
}

std::string unavailable(const KernelRow& row) {
  if (!isa::runs(row.isa, isa::detected())) return "needs " + std::string(isa::name(row.isa));
  const bool generated = row.name.find("_jit_") != std::string_view::npos;
  return generated && !jit::allowed() ? "executable memory is denied" : "";
}
}  // namespace tools
