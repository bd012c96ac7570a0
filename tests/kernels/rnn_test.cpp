#include "kernels/rnn/rnn.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
using rnn::Spec;
using schema::RnnKind;

struct Problem {
  Spec spec;
  int64_t time, batch;
  bool reverse = false, bias = true, state = true, lengths = false;
};
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void check(const rnn::Row& row, const Problem& p) {
  const Spec& s = p.spec;
  const int64_t n = s.hidden, g = s.gates(), state = p.batch * n;
  SCOPED_TRACE("seed " + std::to_string(test::seed()) + ": kind " + std::to_string(int(s.kind)) + ", " + std::to_string(p.time) + " steps, batch " + std::to_string(p.batch) +
               ", " + std::to_string(s.input) + " inputs, " + std::to_string(n) + " units");
  ASSERT_EQ(row.supports(s).refusal, "");
  const rnn::Kernel kernel = row.make(s);
  ASSERT_TRUE(kernel);
  const float size = 1 / std::sqrt(float(n));
  const test::Buffer x(p.time * p.batch * s.input, 1), w(g * n * s.input, 2, -size, size), r(g * n * n, 3, -size, size), wb(g * n, 4), rb(g * n, 5), h0(state, 6), c0(state, 7);

  std::vector<double> y(size_t(p.time * state)), h(size_t(state), 0.0), c(size_t(state), 0.0);
  if (p.state) std::copy_n(h0.data(), state, h.begin()), std::copy_n(c0.data(), state, c.begin());
  std::vector<int64_t> lengths;  // 0, the whole time, and neighbours alike among them
  for (int64_t b = 0; b < p.batch; ++b) lengths.push_back(p.lengths ? (b / 2 * 2 + p.time) % (p.time + 1) : p.time);
  for (int64_t t = 0; t < p.time; ++t) {
    for (int64_t b = 0; b < p.batch; ++b) {
      if (t >= lengths[size_t(b)]) continue;
      const int64_t step = p.reverse ? lengths[size_t(b)] - 1 - t : t;
      const std::vector<double> before(h.begin() + b * n, h.begin() + (b + 1) * n);
      const auto dot = [&](int64_t row, std::span<const double> with) {
        double sum = 0;
        for (int64_t i = 0; i < n; ++i) sum += double(r[size_t(row * n + i)]) * with[size_t(i)];
        return sum;
      };
      std::vector<double> reset;  // h behind the reset gate
      if (s.kind == RnnKind::gru && !s.linear_before_reset)
        for (int64_t u = 0; u < n; ++u) {
          double gate = dot(n + u, before) + (p.bias ? double(wb[size_t(n + u)]) + rb[size_t(n + u)] : 0);
          for (int64_t i = 0; i < s.input; ++i) gate += double(w[size_t((n + u) * s.input + i)]) * x[size_t((step * p.batch + b) * s.input + i)];
          reset.push_back(sigmoid(gate) * before[size_t(u)]);
        }
      for (int64_t u = 0; u < n; ++u) {
        double from_x[4] = {}, from_h[4] = {};
        for (int64_t k = 0; k < g; ++k) {
          if (p.bias) from_x[k] = wb[size_t(k * n + u)], from_h[k] = rb[size_t(k * n + u)];
          for (int64_t i = 0; i < s.input; ++i) from_x[k] += double(w[size_t((k * n + u) * s.input + i)]) * x[size_t((step * p.batch + b) * s.input + i)];
          from_h[k] += dot(k * n + u, k == 2 && !reset.empty() ? reset : before);
        }
        const auto sum = [&](int k) { return from_x[k] + from_h[k]; };
        double &now = h[size_t(b * n + u)], &cell = c[size_t(b * n + u)];
        if (s.kind == RnnKind::rnn) now = std::tanh(sum(0));
        if (s.kind == RnnKind::gru) now = (1 - sigmoid(sum(0))) * std::tanh(from_x[2] + (reset.empty() ? sigmoid(sum(1)) : 1) * from_h[2]) + sigmoid(sum(0)) * now;
        if (s.kind == RnnKind::lstm) cell = sigmoid(sum(2)) * cell + sigmoid(sum(0)) * std::tanh(sum(3)), now = sigmoid(sum(1)) * std::tanh(cell);
        y[size_t(step * state + b * n + u)] = now;
      }
    }
  }

  const test::Buffer packed(kernel->packed_bytes() / sizeof(float));
  kernel->pack(w.data(), r.data(), p.bias ? wb.data() : nullptr, p.bias ? rb.data() : nullptr, packed.data());
  ASSERT_TRUE(packed.guards_intact());
  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    test::Buffer got(y.size());
    std::fill_n(got.data(), got.size(), 0.0f);
    const test::Buffer last(state), cell(state), scratch((kernel->scratch_bytes(p.time, p.batch) + 3) / sizeof(float));
    kernel->run({.x = x.data(), .time = p.time, .batch = p.batch, .reverse = p.reverse, .lengths = p.lengths ? lengths.data() : nullptr, .h0 = p.state ? h0.data() : nullptr, .c0 = p.state ? c0.data() : nullptr,
                 .y = got.data(), .y_step = state, .h = last.data(), .c = s.kind == RnnKind::lstm ? cell.data() : nullptr, .packed = packed.data(), .scratch = scratch.data()}, pool);
    ASSERT_TRUE(got.guards_intact() && last.guards_intact() && cell.guards_intact() && scratch.guards_intact());
    for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(got[i], y[i], 1e-5) << "at " << i;
    for (size_t i = 0; i < h.size(); ++i) {
      ASSERT_NEAR(last[i], h[i], 1e-5);
      if (s.kind == RnnKind::lstm) {
        ASSERT_NEAR(cell[i], c[i], 2e-5);
      }
    }
    if (threads == 1) first.assign(got.data(), got.data() + got.size());
    ASSERT_TRUE(first.empty() || std::memcmp(first.data(), got.data(), first.size() * sizeof(float)) == 0) << threads << " threads";
  }
}

class RnnRow : public testing::TestWithParam<size_t> {
 protected:
  const rnn::Row& row = rnn::rows()[GetParam()];
  void SetUp() override {
    if (const std::string reason = test::unavailable(row); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(RnnRow, ExtentsAroundTheTile) {
  const int64_t t = row.tile;
  for (const RnnKind kind : {RnnKind::lstm, RnnKind::gru, RnnKind::rnn})
    for (const int64_t hidden : {int64_t{1}, t - 1, t, t + 1, 3 * t + 2})
      for (const int64_t batch : {1, 2, 3, 5, 6})
        for (const bool linear_before_reset : {true, false}) {
          if (hidden) check(row, {{kind, hidden % 5 + 1, hidden, linear_before_reset}, 3, batch, batch == 2, hidden % 2 == 0, batch != 6});
          if (HasFatalFailure()) return;
          if (kind != RnnKind::gru) break;
        }
}

TEST_P(RnnRow, LongAndWide) {
  check(row, {{RnnKind::lstm, 40, 256, true}, 12, 1});
  check(row, {{RnnKind::gru, 17, 200, true}, 9, 3, true});
  check(row, {{RnnKind::gru, 17, 200, false}, 9, 3, true});
  check(row, {{RnnKind::rnn, 5, 400, true}, 7, 2});
  check(row, {{RnnKind::lstm, 3, 20, true}, 0, 2});
}

TEST_P(RnnRow, SequencesOfSeveralLengths) {
  for (const RnnKind kind : {RnnKind::lstm, RnnKind::gru, RnnKind::rnn})
    for (const bool reverse : {false, true}) {
      check(row, {{kind, 3, 2 * row.tile + 1, false}, 5, 9, reverse, true, true, true});
      if (HasFatalFailure()) return;
    }
}

TEST_P(RnnRow, Refusals) {
  EXPECT_NE(row.supports({RnnKind::lstm, 0, 3, false}).refusal, "");
  EXPECT_NE(row.supports({RnnKind::gru, 2, 0, false}).refusal, "");
}

INSTANTIATE_TEST_SUITE_P(Rows, RnnRow, testing::Range<size_t>(0, rnn::rows().size()), [](const auto& info) { return std::string(rnn::rows()[info.param].name); });
}  // namespace
