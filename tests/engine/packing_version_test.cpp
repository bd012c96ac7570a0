// Files hold packed weights (convert --pack-for), so what a kernel packs may not change unnoticed. packings.txt has, for each kernel, a hash of
// what it makes of weights of its own; another hash is another order, and needs another engine::packing_version.
//
// INLAY_STORE_PACKINGS=1 writes the rows of this machine's kernels anew.
#include <gtest/gtest.h>
#include <cmath>
#include <fstream>
#include <map>
#include <numeric>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "engine/packing.h"
#include "kernels/conv/conv.h"
#include "kernels/conv_transpose/conv_transpose.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm_s8/gemm_s8.h"
#include "kernels/half/half.h"
#include "kernels/rnn/rnn.h"

namespace {
using namespace kernels;
const char* const path = INLAY_SOURCE_DIR "/tests/engine/packings.txt";

std::vector<float> weights(size_t count) {
  std::vector<float> all(count);
  for (size_t i = 0; i < count; ++i) all[i] = static_cast<float>(i % 8191) / 64 - 40;
  return all;
}

// Weights that a kernel computes may round otherwise under another compiler: to multiples of 1/16 they are the same.
uint64_t hash_of(const std::vector<float>& packed) {
  std::vector<int32_t> steps;
  for (float v : packed) steps.push_back(static_cast<int32_t>(std::lround(v * 16 + 0.01f)));
  return XXH3_64bits(steps.data(), steps.size() * sizeof steps[0]);
}

// Of what is packed in half precision, the floats that they are.
bool rounds(const auto& spec) {
  if constexpr (requires { spec.precision; }) return spec.precision == Precision::f16;
  return false;
}
uint64_t hash_of_halves(const std::vector<float>& packed) {
  std::vector<float> wide(2 * packed.size());
  ThreadPool one(1);
  const half::Spec spec{.back = true};
  half::select(spec).kernel.run(packed.data(), wide.data(), std::ssize(wide), spec, one);
  return hash_of(wide);
}

using Hashes = std::map<std::string, std::vector<uint64_t>>;  // by kernel

template <class Row, class Specs, class Pack> void add(Hashes& to, std::span<const Row> rows, const Specs& specs, const Pack& pack) {
  for (const Row& row : rows) {
    if (!isa::runs(row.isa, isa::detected())) continue;
    auto& hashes = to[std::string(row.name)];
    for (auto spec : specs) {
      if constexpr (requires { spec.precision; })
        if (row.name.find("_f16_") != row.name.npos) spec.precision = Precision::f16;
      if constexpr (requires { spec.groups; spec.kept; })
        if (row.name.starts_with("depthwise_f16_")) spec.kept.x = spec.kept.y = schema::DType::f16;
      const auto kernel = row.supports(spec).refusal.empty() ? row.make(spec) : nullptr;
      hashes.push_back(kernel ? pack(*kernel, spec) : 0);
    }
  }
}

Hashes present() {
  Hashes hashes;
  const auto floats = [](size_t bytes) { return std::vector<float>(bytes / sizeof(float)); };
  const std::vector<gemm::Spec> gemms{{.n = 77, .k = 45}, {.n = 77, .k = 45, .transposed_b = true}, {.n = 300, .k = 1024}, {.n = 40, .k = 1700}, {.n = 5, .k = 3}};
  add(hashes, gemm::rows(), gemms, [&](const gemm::Gemm& gemm, const gemm::Spec& s) {
    const auto b = weights(size_t(s.n * s.k));
    auto packed = floats(gemm.packed_bytes());
    gemm.pack_b(b.data(), s.transposed_b ? s.k : s.n, packed.data());
    return rounds(s) ? hash_of_halves(packed) : hash_of(packed);
  });
  std::vector<conv::Spec> convs(10);
  const auto set = [&](size_t i, int64_t in, int64_t out, int64_t groups, int64_t width, int kernel, int stride = 1) {
    conv::Spec& s = convs[i];
    s.channels = in, s.out_channels = out, s.groups = groups, s.width = width, s.kernel_h = s.kernel_w = kernel, s.stride_h = s.stride_w = stride;
    s.pad_top = s.pad_left = s.pad_bottom = s.pad_right = kernel / 2;
  };
  set(0, 48, 72, 1, 28, 1), set(1, 48, 72, 1, 28, 3), set(2, 300, 48, 1, 14, 3), set(3, 64, 64, 64, 20, 3), set(4, 40, 40, 40, 20, 5, 2), set(5, 32, 32, 8, 20, 3);
  set(6, 64, 64, 4, 20, 3), set(7, 3, 40, 1, 40, 7, 2), set(8, 4, 3, 1, 60, 9), set(9, 64, 2, 1, 20, 3);
  convs[7].nchw_input = true;
  add(hashes, conv::rows(), convs, [&](const conv::Conv& conv, const conv::Spec& s) {
    const auto w = weights(size_t(s.out_channels * (s.channels / s.groups) * s.kernel_h * s.kernel_w));
    auto packed = floats(conv.packed_bytes());
    conv.pack(w.data(), packed.data());
    return rounds(s) ? hash_of_halves(packed) : hash_of(packed);
  });
  conv_transpose::Spec up;
  up.channels = 24, up.out_channels = 20, up.height = up.width = 9, up.out_height = up.out_width = 18, up.kernel_h = up.kernel_w = 4, up.stride_h = up.stride_w = 2, up.pad_top = up.pad_left = 1;
  up.isa = isa::scalar;
  add(hashes, conv_transpose::rows(), std::vector{up}, [&](const conv_transpose::ConvTranspose& conv, const conv_transpose::Spec& s) {
    const auto w = weights(size_t(s.channels * s.out_channels * s.kernel_h * s.kernel_w));
    auto packed = floats(conv.packed_bytes());
    conv.pack(w.data(), packed.data());
    return hash_of(packed);
  });
  std::vector<rnn::Spec> rnns;
  for (const auto kind : {schema::RnnKind::rnn, schema::RnnKind::gru, schema::RnnKind::lstm}) rnns.push_back({kind, 21, 37, false}), rnns.push_back({kind, 21, 37, true});
  add(hashes, rnn::rows(), rnns, [&](const rnn::Rnn& rnn, const rnn::Spec& s) {
    const auto w = weights(size_t(s.gates() * s.hidden * (s.input + s.hidden + 2)));
    const float *r = w.data() + s.gates() * s.hidden * s.input, *b = r + s.gates() * s.hidden * s.hidden;
    auto packed = floats(rnn.packed_bytes());
    rnn.pack(w.data(), r, b, b + s.gates() * s.hidden, packed.data());
    return hash_of(packed);
  });
  const std::vector<gemm_s8::Spec> bytes{{77, 45, false}, {77, 45, true}, {40, 300, true}};
  add(hashes, gemm_s8::rows(), bytes, [&](const gemm_s8::Gemm& gemm, const gemm_s8::Spec& s) {
    std::vector<int8_t> b(size_t(s.n * s.k));
    std::iota(b.begin(), b.end(), int8_t(-100));
    std::vector<std::max_align_t> packed(gemm.packed_bytes() / sizeof(std::max_align_t) + 1);
    gemm.pack_b(b.data(), s.n, packed.data());
    return XXH3_64bits(packed.data(), gemm.packed_bytes());
  });
  return hashes;
}

struct Stored {
  uint32_t version = 0;
  Hashes hashes;
};
Stored stored() {
  Stored stored;
  std::ifstream in(path);
  std::string word;
  in >> word >> stored.version >> std::ws;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    words >> word >> std::hex;
    for (uint64_t hash; words >> hash;) stored.hashes[word].push_back(hash);
  }
  return stored;
}

TEST(PackingVersion, WhatKernelsPackIsWhatFilesHave) {
  Stored known = stored();
  if (std::getenv("INLAY_STORE_PACKINGS")) {
    for (auto& [kernel, hashes] : present()) known.hashes[kernel] = hashes;
    std::ofstream out(path);
    out << "version " << engine::packing_version << '\n' << std::hex;
    for (const auto& [kernel, hashes] : known.hashes) {
      out << kernel;
      for (uint64_t hash : hashes) out << ' ' << hash;
      out << '\n';
    }
    return;
  }
  ASSERT_EQ(known.version, engine::packing_version) << path << " is of another version: INLAY_STORE_PACKINGS=1 stores what is packed now";
  for (const auto& [kernel, hashes] : present())
    EXPECT_EQ(known.hashes[kernel], hashes) << kernel << " packs otherwise than " << path
                                            << " says: raise packing_version in engine/packing.h, and run this with INLAY_STORE_PACKINGS=1 (a new kernel: only that)";
}
}  // namespace
