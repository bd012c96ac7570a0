#include "kernels/conv/strips.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using conv::Link;
using conv::Spec;
using pointwise::Chain;
using pointwise::Mode;
using pointwise::Stage;
using schema::BinaryKind;
using schema::UnaryKind;

struct Weights {
  test::Buffer packed, bias, full;
  pointwise::Operand operand;
};

// Links with random weights, run together and one by one.
struct Problem {
  std::vector<Link> links;
  int64_t batch = 1, height = 1;

  int64_t height_of(size_t link) const {  // of what it reads
    int64_t h = height;
    for (size_t i = 0; i < link; ++i) h = links[i].spec.out_height(h);
    return h;
  }
  void check() const {
    const Spec &first = links[0].spec, &last = links.back().spec;
    const test::Buffer x(size_t(batch * height * first.width * (first.nchw_input ? first.channels : first.in_pitch())), 1);
    std::vector<Weights> weights;
    for (size_t i = 0; i < links.size(); ++i) {
      const Spec& s = links[i].spec;
      const int64_t pixels = batch * height_of(i + 1) * s.out_width();
      const test::Buffer w(size_t(s.out_channels * (s.channels / s.groups) * s.kernel_h * s.kernel_w), 2 + unsigned(i));
      weights.push_back({test::Buffer(links[i].kernel->packed_bytes() / sizeof(float)), test::Buffer(size_t(s.out_channels), 3),
                         test::Buffer(size_t(pixels * (s.out_channels + 3)), 4), {}});
      weights.back().operand = {weights.back().full.data(), s.out_channels + 3};
      links[i].kernel->pack(w.data(), weights.back().packed.data());
    }
    ThreadPool one(1);
    test::Buffer want(x.size());
    std::copy_n(x.data(), x.size(), want.data());
    for (size_t i = 0; i < links.size(); ++i) {
      const Spec& s = links[i].spec;
      test::Buffer y(size_t(batch * height_of(i + 1) * s.out_width() * s.out_pitch()));
      links[i].kernel->run({.x = want.data(), .w = weights[i].packed.data(), .bias = weights[i].bias.data(), .y = y.data(),
                            .operands = &weights[i].operand, .batch = batch, .height = height_of(i)}, one);
      want = std::move(y);
    }
    ASSERT_EQ(conv::Strips::refusal(links), "");
    const conv::Strips strips(links);
    std::vector<conv::StripArgs::Weights> args;
    for (const Weights& w : weights) args.push_back({w.packed.data(), w.bias.data(), &w.operand});
    for (const int threads : {1, 2, 3, 8}) {
      ThreadPool pool(threads);
      const test::Buffer y(want.size()), scratch(strips.scratch_bytes() / sizeof(float));
      strips.run({.x = x.data(), .weights = args.data(), .y = y.data(), .batch = batch, .height = height, .scratch = scratch.data()}, pool);
      EXPECT_TRUE(y.guards_intact() && scratch.guards_intact());
      for (size_t i = 0; i < want.size(); ++i) {
        if (int64_t(i) % last.out_pitch() >= last.out_channels) continue;
        ASSERT_EQ(std::memcmp(&want[i], &y[i], sizeof(float)), 0) << threads << " threads, float " << i << " is " << y[i] << ", not " << want[i];
      }
    }
  }
};

Problem chain(std::vector<Spec> specs, int64_t batch, int64_t height) {
  Problem p{{}, batch, height};
  for (Spec& s : specs) {
    if (!p.links.empty()) {
      const Spec& before = p.links.back().spec;
      s.width = before.out_width(), s.x_pitch = before.out_pitch();
    }
    s.by_rows = true;
    p.links.push_back({s, conv::select(s).kernel});
  }
  return p;
}
Spec pixels(int64_t in, int64_t out, Chain epilogue = {}) { return {.channels = in, .out_channels = out, .bias = true, .epilogue = epilogue}; }
Spec depthwise(int64_t c, int kernel, int stride, Chain epilogue = {}) {
  const int pad = kernel / 2;
  return {.channels = c, .out_channels = c, .groups = c, .kernel_h = kernel, .kernel_w = kernel, .stride_h = stride, .stride_w = stride,
          .pad_top = pad, .pad_left = pad, .pad_bottom = pad, .pad_right = pad, .bias = true, .epilogue = epilogue};
}

TEST(Strips, BottlenecksOfManyHeights) {
  const Chain clip{Stage::of(UnaryKind::clip, 0, 6)}, add{Stage::of(BinaryKind::add, 0, Mode::full)};
  for (const int64_t height : {1, 2, 3, 7, 12, 13, 25, 60})
    for (const int stride : {1, 2}) {
      SCOPED_TRACE(testing::Message() << "height " << height << " stride " << stride);
      Spec expand = pixels(8, 40, clip);
      expand.width = 19;
      chain({expand, depthwise(40, 3, stride, clip), pixels(40, 12, add)}, 2, height).check();
      expand.width = 33;
      chain({expand, depthwise(40, 5, stride, clip)}, 1, height).check();
    }
}

TEST(Strips, LongChainsFromAnImage) {
  Spec stem{.channels = 3, .out_channels = 24, .width = 61, .kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2,
            .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .nchw_input = true, .bias = true};
  chain({stem, depthwise(24, 3, 1), pixels(24, 16), pixels(16, 70), depthwise(70, 3, 2), pixels(70, 9)}, 2, 77).check();
}

TEST(Strips, WhatPaddingLeavesEmpty) {
  std::mt19937 random(test::seed());
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < 100; ++i) {
    std::vector<Spec> specs;
    int64_t channels = pick(1, 20);
    for (int k = pick(2, 5); k > 0; --k) {
      Spec s = pick(0, 1) ? depthwise(channels, 1, 1) : pixels(channels, pick(1, 40));
      s.kernel_h = pick(1, 4), s.kernel_w = pick(1, 3), s.stride_h = pick(1, 5), s.stride_w = pick(1, 2), s.dilation_h = pick(1, 2);
      s.pad_top = pick(0, 5), s.pad_bottom = pick(0, 5), s.pad_left = pick(0, 2), s.pad_right = pick(1, 2);
      s.y_pitch = s.out_channels + pick(0, 1) * 5;
      if (specs.empty()) s.width = pick(8, 30);
      specs.push_back(s);
      channels = s.out_channels;
    }
    const Problem p = chain(specs, pick(1, 2), pick(1, 40));
    if (std::ranges::any_of(p.links, [](const Link& link) { return !link.kernel; })) continue;
    SCOPED_TRACE(testing::Message() << "seed " << test::seed() << ", case " << i);
    p.check();
    if (HasFatalFailure()) return;
  }
}

TEST(Strips, RefusesWhatDoesNotFit) {
  Spec first = pixels(8, 16), second = pixels(16, 8);
  first.width = second.width = 20;
  const Link a{first, conv::select(first).kernel}, b{second, conv::select(second).kernel};
  EXPECT_EQ(conv::Strips::refusal(std::vector{a, b}), "");
  EXPECT_NE(conv::Strips::refusal(std::vector{a}), "");
  EXPECT_NE(conv::Strips::refusal(std::vector{b, b}), "");
  for (const conv::Row& row : conv::rows()) {
    if (!row.name.starts_with("winograd4") || !test::unavailable(row).empty()) continue;
    Spec wide{.channels = 16, .out_channels = 16, .width = 20, .kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
    EXPECT_NE(conv::Strips::refusal(std::vector{a, Link{wide, row.make(wide)}}), "");
  }
}
}  // namespace
