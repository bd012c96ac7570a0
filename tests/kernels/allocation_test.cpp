// Running a kernel that has been made allocates nothing.
#include "kernels/conv/conv.h"
#include "kernels/gemm/gemm.h"
#include "kernels/image/image.h"
#include "tests/count_allocations.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;

TEST(Allocation, NoneWhileKernelsRun) {
  const pointwise::Chain chain{pointwise::Stage::of(schema::UnaryKind::mish)};  // a pass of its own in most rows
  const test::Buffer x(64 * 64 * 16, 1), w(64 * 64 * 9, 2);
  ThreadPool pool(2);
  for (const isa::Level& cap : test::caps()) {
    const auto gemm = gemm::select({.n = 70, .k = 64, .epilogue = chain}, cap.mask);
    const conv::Spec spec{.channels = 16,
                          .out_channels = 24,
                          .width = 20,
                          .kernel_h = 3,
                          .kernel_w = 3,
                          .pad_top = 1,
                          .pad_left = 1,
                          .pad_bottom = 1,
                          .pad_right = 1,
                          .epilogue = chain};
    const auto conv = conv::select(spec, cap.mask);
    ASSERT_TRUE(gemm && conv);
    const test::Buffer packed_b(gemm.kernel->packed_bytes() / 4), packed_w(conv.kernel->packed_bytes() / 4),
        y(20 * 20 * 70), scratch(conv.kernel->scratch_bytes(1, 20) / 4);
    gemm.kernel->pack_b(w.data(), 70, packed_b.data());
    conv.kernel->pack(w.data(), packed_w.data());
    const int64_t before = allocations;
    gemm.kernel->run({.a = x.data(), .lda = 64, .b = packed_b.data(), .c = y.data(), .ldc = 70, .m = 50}, pool);
    conv.kernel->run({.x = x.data(), .w = packed_w.data(), .y = y.data(), .height = 20, .scratch = scratch.data()}, pool);
    EXPECT_EQ(allocations, before) << cap.name;
  }
}

TEST(Allocation, NoneForASecondPictureOfASize) {
  const test::Fenced pixels(200 * 300 * 3 / 2);
  const image::Picture picture{image::PixelFormat::nv12, 200, 300, reinterpret_cast<const uint8_t*>(pixels.data())};
  const image::Preprocess p{.resize = image::Resize::stretch, .width = 60, .height = 50};
  const test::Buffer out(60 * 50 * 3);
  ThreadPool pool(2);
  for (const isa::Level& cap : test::caps()) {
    const auto image = image::select(p, cap.mask);
    ASSERT_TRUE(image);
    image::Scratch scratch;
    image.kernel.run(picture, p, {out.data(), schema::DType::f32, false}, scratch, pool);
    const int64_t before = allocations;
    image.kernel.run(picture, p, {out.data(), schema::DType::f32, false}, scratch, pool);
    EXPECT_EQ(allocations, before) << cap.name;
  }
}
}  // namespace
