// Convolutions and pooling of any number of spatial dims, against sums in double over all pairs of elements.
#include "tests/cuda/device.h"

namespace kernels::cuda {
namespace {
using test::Buffer, test::OnDevice;

int64_t product(const int64_t (&n)[WindowDims::count]) { return n[0] * n[1] * n[2]; }

// Calls f(of y, tap, of x) for every tap that meets x, as offsets in planes and kernel: by a search over all triples.
template <class F> void each_triple(const WindowDims& w, bool transposed, F&& f) {
  const auto meets = [&](int d, int64_t y, int64_t tap, int64_t x) {
    return transposed ? y == x * w.stride[d] + tap * w.dilation[d] - w.begin[d]
                      : x == y * w.stride[d] + tap * w.dilation[d] - w.begin[d];
  };
  const auto at = [](const int64_t(&n)[WindowDims::count], int64_t i, int d) {
    return d == 2 ? i % n[2] : d == 1 ? i / n[2] % n[1] : i / n[2] / n[1];
  };
  for (int64_t y = 0; y < product(w.out); ++y)
    for (int64_t tap = 0; tap < product(w.kernel); ++tap)
      for (int64_t x = 0; x < product(w.in); ++x) {
        bool all = true;
        for (int d = 0; d < WindowDims::count; ++d)
          all = all && meets(d, at(w.out, y, d), at(w.kernel, tap, d), at(w.in, x, d));
        if (all) f(y, tap, x);
      }
}

const auto& conv_row() { return direct_conv_family().rows[0]; }
const auto& pool_row() { return direct_pool_family().rows[0]; }

void expect_conv(const DirectConvProblem& p, bool biased = true) {
  const int64_t ins = p.channels / p.groups, outs = p.out_channels / p.groups, taps = product(p.dims.kernel),
                from = product(p.dims.in), to = product(p.dims.out);
  const Buffer x(size_t(p.batch * p.channels * from), 1), w(size_t(p.channels * outs * taps), 2),
      bias(size_t(p.out_channels), 3);
  std::vector<double> want(size_t(p.batch * p.out_channels * to));
  for (size_t i = 0; i < want.size(); ++i) want[i] = biased ? double(bias[i / size_t(to) % size_t(p.out_channels)]) : 0;
  each_triple(p.dims, p.transposed, [&](int64_t y, int64_t tap, int64_t at) {
    for (int64_t n = 0; n < p.batch; ++n)
      for (int64_t k = 0; k < p.out_channels; ++k)
        for (int64_t c = 0; c < ins; ++c) {
          const int64_t in = k / outs * ins + c, by = p.transposed ? in * outs + k % outs : k * ins + c;
          want[size_t((n * p.out_channels + k) * to + y)] +=
              double(x[size_t((n * p.channels + in) * from + at)]) * double(w[size_t(by * taps + tap)]);
        }
  });
  const OnDevice<float> on_x(x), on_w(w), on_bias(bias);
  ASSERT_EQ(conv_row().refusal(p), nullptr);
  const auto got =
      test::run(conv_row(), p, DirectConvArgs{on_x.data(), on_w.data(), biased ? on_bias.data() : nullptr, nullptr},
                &DirectConvArgs::y, want.size());
  for (size_t i = 0; i < want.size(); ++i)
    ASSERT_TRUE(test::near(got[i], want[i], 1e-5)) << i << ": " << got[i] << " not " << want[i];
}

// y's extents of a convolution without padding behind x.
WindowDims windows(std::initializer_list<int64_t> in, std::initializer_list<int64_t> kernel, int64_t stride,
                   int64_t dilation, int64_t begin) {
  WindowDims w;
  size_t d = WindowDims::count - in.size();
  for (auto x = in.begin(), k = kernel.begin(); x != in.end(); ++x, ++k, ++d) {
    w.in[d] = *x, w.kernel[d] = *k, w.stride[d] = stride, w.dilation[d] = dilation, w.begin[d] = begin;
    w.out[d] = (*x + begin - (*k - 1) * dilation - 1) / stride + 1;
  }
  return w;
}

TEST(CudaDirect, ConvolutionsOfOneToThreeDims) {
  for (const auto& dims : {windows({9}, {3}, 1, 1, 1), windows({20}, {4}, 3, 2, 2), windows({6, 7}, {3, 2}, 2, 1, 1),
                           windows({4, 5, 6}, {2, 3, 2}, 1, 1, 0), windows({5, 6, 4}, {3, 1, 2}, 2, 2, 3)})
    for (const bool biased : {true, false})
      expect_conv({.dims = dims, .batch = 2, .channels = 6, .out_channels = 4, .groups = 2}, biased);
}
TEST(CudaDirect, TheirTransposes) {
  for (const auto& back : {windows({9}, {3}, 1, 1, 1), windows({20}, {4}, 3, 2, 2), windows({6, 7}, {3, 2}, 2, 1, 1),
                           windows({5, 6, 4}, {3, 1, 2}, 2, 1, 1)}) {
    WindowDims dims = back;  // x is what the convolution makes of y
    std::swap(dims.in, dims.out);
    expect_conv({.dims = dims, .batch = 2, .channels = 4, .out_channels = 6, .groups = 2, .transposed = true});
    expect_conv({.dims = dims, .batch = 1, .channels = 3, .out_channels = 3, .groups = 3, .transposed = true}, false);
  }
}
TEST(CudaDirect, ElementsAroundABlock) {
  for (const int64_t n : test::around(conv_row().tile)) {
    expect_conv({.dims = windows({n + 2}, {3}, 1, 1, 0), .channels = 1, .out_channels = 1});
    WindowDims dims = windows({n}, {1}, 1, 1, 0);
    const DirectPoolProblem p{.dims = dims, .planes = 1};
    const Buffer x(size_t(n), 1);
    const OnDevice<float> on_x(x);
    const auto got =
        test::run(pool_row(), p, DirectPoolArgs{on_x.data(), nullptr, nullptr}, &DirectPoolArgs::y, size_t(n));
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], x[i]);
  }
}

std::vector<float> pooled(const DirectPoolProblem& p, const Buffer& x) {
  const int64_t from = product(p.dims.in), to = product(p.dims.out);
  const bool max = p.kind == schema::PoolKind::max;
  std::vector<double> sum(size_t(p.planes * to), max ? -INFINITY : 0), count(sum.size());
  each_triple(p.dims, false, [&](int64_t y, int64_t, int64_t at) {
    for (int64_t plane = 0; plane < p.planes; ++plane) {
      const double v = double(x[size_t(plane * from + at)]);
      double& s = sum[size_t(plane * to + y)];
      if (max) s = std::max(s, v);
      else s += p.kind == schema::PoolKind::lp ? std::pow(std::fabs(v), double(p.p)) : v;
      count[size_t(plane * to + y)] += 1;
    }
  });
  std::vector<float> y;
  for (size_t i = 0; i < sum.size(); ++i)
    y.push_back(float(max                              ? sum[i]
                      : p.kind == schema::PoolKind::lp ? std::pow(sum[i], 1 / double(p.p))
                                                       : sum[i] / std::max(1.0, count[i])));
  return y;
}
TEST(CudaDirect, Pools) {
  using schema::PoolKind;
  for (const auto& dims :
       {windows({11}, {3}, 2, 1, 1), windows({7, 8}, {3, 2}, 1, 2, 1), windows({4, 5, 6}, {2, 3, 2}, 2, 1, 1)})
    for (const auto& [kind, power] : {std::pair(PoolKind::max, 2),
                                      {PoolKind::average, 2},
                                      {PoolKind::lp, 1},
                                      {PoolKind::lp, 2},
                                      {PoolKind::lp, 3}}) {
      const DirectPoolProblem p{.dims = dims, .planes = 3, .kind = kind, .p = power};
      const Buffer x(size_t(3 * product(dims.in)), 5);
      const OnDevice<float> on_x(x);
      const auto want = pooled(p, x), got = test::run(pool_row(), p, DirectPoolArgs{on_x.data(), nullptr, nullptr},
                                                      &DirectPoolArgs::y, want.size());
      for (size_t i = 0; i < want.size(); ++i)
        ASSERT_TRUE(test::near(got[i], want[i], 1e-5)) << int(kind) << ' ' << i << ": " << got[i] << " not " << want[i];
    }
}
TEST(CudaDirect, PlacesOfLargestElementsAndBytes) {
  const WindowDims dims = windows({3, 4}, {2, 2}, 1, 1, 0);
  const std::vector<int8_t> x{-7, 1, 1, -128, 5, 5, -2, 0, 3, 5, -1, 9};
  const OnDevice<int8_t> on_x(x);
  const OnDevice<int64_t> places(6);
  for (const bool columns : {false, true}) {
    const DirectPoolProblem p{.dims = dims, .planes = 1, .type = DType::i8, .column_major = columns};
    const auto y =
        test::run_as<int8_t>(pool_row(), p, DirectPoolArgs{on_x.data(), nullptr, places.data()}, &DirectPoolArgs::y, 6);
    EXPECT_EQ(y, (std::vector<int8_t>{5, 5, 1, 5, 5, 9}));
    const std::vector<int64_t> rows{4, 5, 2, 4, 5, 11};
    for (size_t i = 0; i < rows.size(); ++i)
      EXPECT_EQ(places.read()[i], columns ? rows[i] % 4 * 3 + rows[i] / 4 : rows[i]) << i;
    const auto alone = test::run_as<int64_t>(pool_row(), p, DirectPoolArgs{on_x.data(), nullptr, nullptr},
                                             &DirectPoolArgs::indices, 6);
    EXPECT_EQ(alone, places.read());
  }
}
}  // namespace
}  // namespace kernels::cuda
