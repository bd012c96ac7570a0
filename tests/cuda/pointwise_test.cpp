#include <dlfcn.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include "kernels/cuda/nvrtc.h"
#include "kernels/pointwise/cuda_source.h"
#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using pointwise::Chain;
using pointwise::Mode;
using pointwise::Stage;
using schema::BinaryKind;
using schema::UnaryKind;

const auto& row = cuda::pointwise_family().all()[1];  // interprets any chain
const auto& generated = cuda::pointwise_family().all()[0];

void check(const Chain& chain, int64_t outer, int64_t rows, int64_t columns, int64_t pitch = 0,
           const cuda::Row<cuda::PointwiseProblem, cuda::PointwiseArgs>& row = ::row) {
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": " + std::to_string(outer) + " " + std::to_string(rows) +
               " " + std::to_string(columns));
  const int64_t stride = pitch ? pitch : columns, n = outer * rows * stride;
  const test::Buffer x(size_t(n), 1, 0.2f, 0.9f);
  std::vector<test::Buffer> operands;
  pointwise::Operands host, device;
  std::vector<test::OnDevice<float>> copies;
  for (int i = 0; i < chain.operand_count(); ++i) {
    operands.emplace_back(size_t(std::max<int64_t>(rows * columns, 1)), unsigned(2 + i), 0.2f, 0.9f);
    copies.emplace_back(operands.back());
    host[size_t(i)] = {operands.back().data(), columns};
    device[size_t(i)] = {copies.back().data(), columns};
  }
  const test::Buffer want(size_t(n), 99);
  const auto kernel = pointwise::scalar::make(chain);
  for (int64_t o = 0; o < outer; ++o)
    kernel.run(
        {x.data() + o * rows * stride, stride, want.data() + o * rows * stride, stride, host.data(), rows, columns});
  const cuda::PointwiseProblem problem{chain, outer, rows, columns, stride, stride};
  ASSERT_EQ(row.refusal(problem), nullptr);
  const test::OnDevice<float> in(x);
  const auto got =
      test::run(row, problem, cuda::PointwiseArgs{in.data(), nullptr, device}, &cuda::PointwiseArgs::y, size_t(n));
  for (int64_t i = 0; i < n; ++i) {
    if (i % stride >= columns) EXPECT_TRUE(std::isnan(got[size_t(i)])) << "between rows";
    else
      ASSERT_TRUE(test::near(got[size_t(i)], want[size_t(i)], test::own_arithmetic(2e-5)))
          << i << ": " << got[size_t(i)] << " not " << want[size_t(i)];
  }
}

TEST(CudaPointwise, WhatIsKeptAsHalfStaysFinite) {
  using schema::DType;
  const Chain chain{Stage::of(BinaryKind::mul, 0, Mode::full)};
  const std::vector<float> x{1, 300, -300, INFINITY, NAN, 2e38f}, y{0.1f, 300, 300, 1, 1, 10};
  for (const auto& [type, largest] : {std::pair(DType::f16, 65504.f), {DType::bf16, 0x1.fep127f}}) {
    cuda::PointwiseProblem p{chain, 1, 1, 6, 6, 6};
    p.kept.x = DType::f32, p.kept.y = p.kept.operands[0] = type;
    ASSERT_EQ(row.refusal(p), nullptr);
    EXPECT_NE(generated.refusal({chain, 1, 100, 100, 100, 100, p.kept}), nullptr);
    const test::OnDevice<float> in(x);
    const test::OnDevice<uint16_t> by(test::halves(y, type));
    const pointwise::Operands operands{{{reinterpret_cast<const float*>(by.data()), 6}}};
    const auto got = test::floats(test::run_as<uint16_t>(row, p, cuda::PointwiseArgs{in.data(), nullptr, operands}, &cuda::PointwiseArgs::y, 6), type);
    EXPECT_NEAR(got[0], 0.1, 1e-3);
    if (type == DType::f16) EXPECT_EQ(got[1], largest);
    else EXPECT_EQ(got[1], 90112.f) << "the nearest of 90000";
    EXPECT_EQ(got[2], -got[1]);
    EXPECT_EQ(got[3], INFINITY);
    EXPECT_TRUE(std::isnan(got[4]));
    EXPECT_EQ(got[5], INFINITY) << "f32 has no such number";
  }
  EXPECT_EQ(cuda::from_half(cuda::to_half_saturated(3e38f)), 65504.f);
  EXPECT_EQ(cuda::from_half(cuda::to_half_saturated(-65519.f)), -65504.f);
  EXPECT_EQ(cuda::float_of_bits(uint32_t(cuda::to_bfloat_saturated(0x1.fffffep127f)) << 16), 0x1.fep127f);
  EXPECT_EQ(cuda::to_half_saturated(INFINITY), 0x7c00);
}

TEST(CudaPointwise, SizesAroundTheBlock) {
  const Chain chain{Stage::of(BinaryKind::mul, 0, Mode::full), Stage::of(UnaryKind::relu),
                    Stage::of(BinaryKind::sub, 1, Mode::per_column, true), Stage::of(BinaryKind::add, 2, Mode::per_row),
                    Stage::of(BinaryKind::div, 3, Mode::scalar)};
  for (const int64_t n : test::around(row.tile)) {
    check(chain, 1, 1, n);
    check(chain, 1, n, 1);
    check(chain, 2, 3, n);
    check(chain, 2, 3, n, n + 5);
  }
  check(chain, 1, 300, 700);
}

TEST(CudaPointwise, EveryFunction) {
  for (int kind = 0; kind < int(schema::names<UnaryKind>.size()); ++kind) {
    const Chain chain{Stage::of(UnaryKind(kind), 0.3f, 0.7f)};
    SCOPED_TRACE(schema::name(UnaryKind(kind)));
    EXPECT_EQ(row.refusal({chain}) == nullptr, pointwise::unsupported(chain).empty());
    if (pointwise::unsupported(chain).empty()) check(chain, 1, 2, 50);
  }
  for (int kind = 0; kind < int(schema::names<BinaryKind>.size()); ++kind)
    for (const bool swapped : {false, true}) {
      const Chain chain{Stage::of(BinaryKind(kind), 0, Mode::full, swapped)};
      SCOPED_TRACE(schema::name(BinaryKind(kind)));
      EXPECT_EQ(row.refusal({chain}) == nullptr, pointwise::unsupported(chain).empty());
      if (pointwise::unsupported(chain).empty()) check(chain, 1, 2, 50);
    }
}

// --- Kernels that are generated for a chain ---

// What the host's compiler needs to read CUDA source, and what calls a kernel with a place in its grid.
constexpr const char* prelude = R"(#include <math.h>
#define __device__
#define __global__
#define __grid_constant__
struct Dim { unsigned x; };
static Dim gridDim, blockDim, blockIdx, threadIdx;
struct float4 { float x, y, z, w; };
static inline float __int_as_float(int bits) { float f; __builtin_memcpy(&f, &bits, 4); return f; }
)";
constexpr const char* calls = R"(
#define CALL(name) \
  extern "C" void call_##name(const void* p, const unsigned (&place)[4]) { \
    gridDim.x = place[0], blockDim.x = place[1], blockIdx.x = place[2], threadIdx.x = place[3]; \
    name(*static_cast<const Parameters*>(p)); \
  }
CALL(chain_small)
CALL(chain_large)
)";

// Makes a library of a source and opens it.
void* built(const std::string& source) {
  char folder[] = "/tmp/inlay_generated_XXXXXX";
  if (!mkdtemp(folder)) return nullptr;
  const std::string file = std::string(folder) + "/chain.cpp", library = std::string(folder) + "/chain.so";
  std::ofstream(file) << source;
  const std::string command = std::string(INLAY_CXX) +
                              " -std=c++17 -O1 -ffp-contract=off -Wno-unknown-pragmas -shared -fPIC " + file + " -o " +
                              library;
  void* handle = std::system(command.c_str()) == 0 ? dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  std::filesystem::remove_all(folder);
  return handle;
}

class CudaGenerated : public testing::Test {
 protected:
  CudaGenerated() {
    cuda::emulator::compiler = [](const std::string& source,
                                  std::function<cuda::emulator::Entry(const char*)>* find) -> cuda::Failure {
      void* library = built(prelude + source + calls);
      if (!library) return "the host's compiler does not take the source";
      *find = [library](const char* name) {
        return reinterpret_cast<cuda::emulator::Entry>(dlsym(library, ("call_" + std::string(name)).c_str()));
      };
      return nullptr;
    };
  }
  ~CudaGenerated() override { cuda::emulator::compiler = nullptr; }
};

TEST_F(CudaGenerated, SizesVectorsAndModes) {
  const Chain chain{Stage::of(BinaryKind::mul, 0, Mode::full),
                    Stage::of(UnaryKind::clip, 0.1f, INFINITY),
                    Stage::of(BinaryKind::sub, 1, Mode::per_column, true),
                    Stage::of(BinaryKind::add, 2, Mode::per_row),
                    Stage::of(BinaryKind::div, 3, Mode::scalar),
                    Stage::of(UnaryKind::gelu)};
  const Chain small{Stage::of(UnaryKind::relu)};
  EXPECT_NE(generated.refusal({small, 1, 1, 100, 100, 100}), nullptr);
  test::expect_ok(generated.prepare({chain, 1, 100, 100, 100, 100}, test::device_info().sm));
  const auto close = [&](int64_t outer, int64_t rows, int64_t columns, int64_t pitch = 0) {
    check(chain, outer, rows, columns, pitch, generated);
  };
  close(1, 1, 4096), close(1, 1, 5001), close(1, 70, 64), close(1, 4099, 1), close(2, 33, 68), close(2, 33, 67);
  close(1, 70, 64, 68), close(1, 70, 64, 67), close(3, 50, 30, 32);
}

TEST_F(CudaGenerated, LargeIndicesAreCountedInLongs) {
  // A stride that 32 bits do not count, of the only row.
  const Chain chain{Stage::of(UnaryKind::relu), Stage::of(BinaryKind::add, 0, Mode::per_column)};
  test::expect_ok(generated.prepare({chain, 1, 4096, 1, 1, 1}, test::device_info().sm));
  const test::Buffer x(4096, 1), operand(4096, 2);
  const test::OnDevice<float> x_(x), operand_(operand);
  pointwise::Operands operands;
  operands[0] = {operand_.data(), 0};
  const auto y = test::run(generated, cuda::PointwiseProblem{chain, 1, 1, 4096, INT64_C(1) << 40, INT64_C(1) << 40},
                           cuda::PointwiseArgs{x_.data(), nullptr, operands}, &cuda::PointwiseArgs::y, 4096);
  for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], std::max(x[i], 0.0f) + operand[i]) << i;
}

// All functions in one library: the formulas are those of the tables.
TEST(CudaGeneratedSource, EveryFunction) {
  std::string all = prelude;
  std::vector<Chain> chains;
  const auto add = [&](const Chain& chain) {
    if (!pointwise::unsupported(chain).empty()) return;
    std::string source = pointwise::cuda_source(chain);
    for (size_t at; (at = source.find("extern \"C\" ")) != source.npos;) source.erase(at, 11);
    all += "namespace n" + std::to_string(chains.size()) + " {\n" + source + "}\nextern \"C\" float apply" +
           std::to_string(chains.size()) + "(float x, float y) {\n  (void)y;\n  return n" +
           std::to_string(chains.size()) + "::stage0(x" + (chain.stages[0].binary ? ", y" : "") + ");\n}\n";
    chains.push_back(chain);
  };
  for (int kind = 0; kind < int(schema::names<UnaryKind>.size()); ++kind) add({Stage::of(UnaryKind(kind), 0.3f, 0.7f)});
  for (int kind = 0; kind < int(schema::names<BinaryKind>.size()); ++kind)
    add({Stage::of(BinaryKind(kind), 0, Mode::scalar)});
  ASSERT_GT(chains.size(), 40u);
  void* library = built(all);
  ASSERT_TRUE(library);
  for (size_t c = 0; c < chains.size(); ++c) {
    const auto function =
        reinterpret_cast<float (*)(float, float)>(dlsym(library, ("apply" + std::to_string(c)).c_str()));
    ASSERT_TRUE(function);
    for (const float x : {-1.5f, -0.4f, 0.0f, 0.3f, 0.9f, 2.5f})
      for (const float y : {-0.5f, 0.7f, 3.0f}) {
        float want = x;
        const pointwise::Operand operand{&y, 0};
        pointwise::scalar::make(chains[c]).run(&x, &operand, &want, 1, 1);
        const float got = function(x, y);
        EXPECT_TRUE(test::near(got, want, 1e-6) || (std::isnan(got) && std::isnan(want)))
            << c << " of " << x << ", " << y << ": " << got << " not " << want;
      }
  }
}

// Of a machine without the library; any other failure is one.
bool no_nvrtc(cuda::Failure f) { return f && std::string(f).find("cannot be opened") != std::string::npos; }

// NVRTC needs no device: every function compiles for the capabilities that there is machine code for.
TEST(CudaGeneratedSource, CompilesWithNvrtc) {
  setenv("INLAY_CUDA_CACHE", "", 1);
  std::vector<char> cubin;
  if (cuda::Failure f = cuda::compile_source("extern \"C\" __global__ void nothing() {}", 80, cubin); no_nvrtc(f)) GTEST_SKIP() << f;
  std::vector<Stage> stages;
  for (int kind = 0; kind < int(schema::names<UnaryKind>.size()); ++kind)
    if (const Stage s = Stage::of(UnaryKind(kind), 0.3f, -INFINITY); pointwise::unsupported({s}).empty())
      stages.push_back(s);
  for (int kind = 0; kind < int(schema::names<BinaryKind>.size()); ++kind)
    for (const Mode mode : {Mode::full, Mode::per_column, Mode::per_row, Mode::scalar})
      if (const Stage s = Stage::of(BinaryKind(kind), uint8_t(kind % Chain::max_operands), mode, kind % 2);
          pointwise::unsupported({s}).empty())
        stages.push_back(s);
  for (size_t first = 0; first < stages.size(); first += Chain::capacity) {
    Chain chain;
    for (size_t i = first; i < std::min(stages.size(), first + Chain::capacity); ++i) chain.push(stages[i]);
    for (const int sm : {80, 90}) test::expect_ok(cuda::compile_source(pointwise::cuda_source(chain), sm, cubin));
    EXPECT_FALSE(cubin.empty());
  }
  const cuda::Failure wrong = cuda::compile_source("nonsense", 80, cubin);
  ASSERT_TRUE(wrong);
  EXPECT_NE(std::string(wrong).find("inlay.cu(1)"), std::string::npos) << wrong;
}

TEST(CudaGeneratedSource, IsKeptInFiles) {
  char folder[] = "/tmp/inlay_cubins_XXXXXX";
  ASSERT_TRUE(mkdtemp(folder));
  setenv("INLAY_CUDA_CACHE", folder, 1);
  const std::string source = "extern \"C\" __global__ void kept() {}";
  std::vector<char> first, again;
  const cuda::Failure f = cuda::compile_source(source, 80, first);
  if (no_nvrtc(f)) GTEST_SKIP() << f;
  test::expect_ok(f);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1u);
  {  // what the next process reads is what is there
    std::ofstream file(files[0], std::ios::binary | std::ios::app);
    file << "more";
  }
  test::expect_ok(cuda::compile_source(source, 80, again));
  ASSERT_EQ(again.size(), first.size() + 4);
  std::ofstream(files[0], std::ios::binary) << "damaged";  // which is compiled again
  test::expect_ok(cuda::compile_source(source, 80, again));
  EXPECT_EQ(again, first);
  std::filesystem::remove_all(folder);
  setenv("INLAY_CUDA_CACHE", "", 1);
}
}  // namespace
