// One problem of a kernel family, and its kernels ready to run on it: what `inlay kernels --bench` and the
// micro-benchmarks time.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>
#include "kernels/conv/conv.h"
#include "kernels/gemm/gemm.h"
#include "kernels/os.h"

namespace tools {
struct KernelRow {
  std::string_view family, name;
  kernels::isa::Mask isa;
  int tile;
};
std::span<const KernelRow> kernel_rows();   // of all families, in their tables' order
std::string unavailable(const KernelRow&);  // why it does not run on this machine, or empty

// Owns its buffers.
struct Ready {
  std::string refusal;  // why the kernel does not take the problem, or empty
  std::function<void(kernels::ThreadPool&)> run;
  double flops = 0, bytes = 0;  // of one run; bytes without what packing and scratch add
};

struct Problem {
  std::string_view selected;  // the kernel that a plan would use, empty where none takes it
  std::function<std::string(std::string_view kernel)> refusal;  // why the kernel does not take it, or empty
  std::function<Ready(std::string_view kernel)> prepare;
};

struct ProblemError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct ProblemForm {
  std::string_view family;
  Problem (*parse)(const std::string&);  // throws ProblemError, naming the field that is wrong
  std::string_view example, fields;
};
std::span<const ProblemForm> problem_forms();
Problem parse_problem(std::string_view family, const std::string& text);
Problem gemm_problem(const std::string&);
Problem gemm_s8_problem(const std::string&);
Problem conv_problem(const std::string&);
Problem pointwise_problem(const std::string&);
Problem rnn_problem(const std::string&);
Problem image_problem(const std::string&);

struct GemmProblem {
  kernels::gemm::Spec spec;
  int64_t m = 0;
  double flops() const { return 2.0 * double(m) * double(spec.n) * double(spec.k); }
};
GemmProblem parse_gemm(const std::string& text);
struct ConvProblem {
  kernels::conv::Spec spec;
  int64_t batch = 0, height = 0;
  double flops() const {
    return 2.0 * double(batch * spec.out_height(height) * spec.out_width()) * double(spec.out_channels) *
           double(spec.channels / spec.groups * spec.kernel_h * spec.kernel_w);
  }
};
ConvProblem parse_conv(const std::string& text);

// Memory as an arena has it: aligned, values of ordinary size. Throws std::bad_alloc.
class Numbers {
 public:
  explicit Numbers(int64_t n);
  float* data() const { return reinterpret_cast<float*>(memory_->data()); }

 private:
  std::shared_ptr<const kernels::os::Memory> memory_;
};
}  // namespace tools
