// Attention and recurrent nets, against sums in double.
#include "tests/cuda/device.h"

namespace {
using namespace kernels;
using cuda::AttentionArgs, cuda::AttentionProblem, cuda::RnnArgs, cuda::RnnProblem;
using schema::RnnKind;

void expect_near(const std::vector<float>& got, const std::vector<double>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_TRUE(test::near(got[i], want[i], tolerance) || (std::isnan(got[i]) && std::isnan(want[i])))
        << i << ": " << got[i] << " not " << want[i];
}

// --- Attention ---

struct Heads {
  int64_t rows, columns;
  bool rows_first;
  attention::Strides strides(int64_t heads) const {
    return {heads * rows * columns, rows_first ? columns : rows * columns, rows_first ? heads * columns : columns};
  }
};

// `masking`: 4 causal; 0 none; 1 one number per query and key; 2 one per key and batch, some of them -inf; 3 all of query 1's
// keys are masked.
void check_attention(const cuda::Row<AttentionProblem, AttentionArgs>& row, int64_t queries, int64_t keys, int64_t size,
                     int64_t value_size, int masking, bool rows_first = false, int64_t shared = 1) {
  constexpr int64_t batch = 2, heads = 4;
  const int64_t kv_heads = heads / shared;
  const Heads q{queries, size, rows_first}, k{keys, size, !rows_first}, v{keys, value_size, rows_first},
      y{queries, value_size, rows_first};
  AttentionProblem p{batch,
                     heads,
                     shared,
                     queries,
                     keys,
                     size,
                     value_size,
                     0.3f,
                     masking == 3,
                     masking == 4,
                     q.strides(heads),
                     k.strides(kv_heads),
                     v.strides(kv_heads),
                     y.strides(heads),
                     masking % 4 > 0};
  SCOPED_TRACE(std::to_string(queries) + " " + std::to_string(keys) + " " + std::to_string(size) + " " +
               std::to_string(value_size) + " mask " + std::to_string(masking));
  ASSERT_EQ(row.refusal(p), nullptr);
  test::Buffer qs(size_t(batch * heads * queries * size), 1, -3, 3),
      ks(size_t(batch * kv_heads * keys * size), 2, -3, 3), vs(size_t(batch * kv_heads * keys * value_size), 3);
  test::Buffer mask(size_t(masking == 2 ? batch * keys : batch * heads * queries * keys), 4, -2, 2);
  if (masking == 2) p.mask_strides[0] = keys, p.mask_strides[3] = 1;
  else if (masking % 4)
    p.mask_strides[0] = heads * queries * keys, p.mask_strides[1] = queries * keys, p.mask_strides[2] = keys,
    p.mask_strides[3] = 1;
  for (size_t i = 0; i < mask.size(); ++i)
    if ((masking == 2 && i % 3 == 0 && keys > 1) ||
        (masking == 3 && int64_t(i) / std::max<int64_t>(1, keys) % queries == 1))
      mask[i] = -INFINITY;
  const test::OnDevice<float> q_(qs), k_(ks), v_(vs), mask_(mask);
  const auto got =
      test::run(row, p, AttentionArgs{q_.data(), k_.data(), v_.data(), masking % 4 ? mask_.data() : nullptr, nullptr},
                &AttentionArgs::y, size_t(batch * heads * queries * value_size));
  std::vector<double> want(got.size());
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t r = 0; r < queries; ++r) {
        std::vector<double> scores(static_cast<size_t>(keys));
        double most = -INFINITY, sum = 0;
        for (int64_t t = 0; t < keys; ++t) {
          double dot = 0;
          for (int64_t i = 0; i < size; ++i)
            dot += double(qs[size_t(b * p.q.batch + h * p.q.head + r * p.q.row + i)]) *
                   ks[size_t(b * p.k.batch + h / shared * p.k.head + t * p.k.row + i)];
          dot = dot * double(p.scale) + (masking % 4 ? mask[size_t(b * p.mask_strides[0] + h * p.mask_strides[1] +
                                                               r * p.mask_strides[2] + t * p.mask_strides[3])]
                                                 : 0);
          if (p.causal && t > keys - queries + r) dot = -INFINITY;
          scores[size_t(t)] = dot, most = std::max(most, dot);
        }
        for (double& s : scores) sum += s = std::exp(s - most);
        for (int64_t c = 0; c < value_size; ++c) {
          double mixed = 0;
          for (int64_t t = 0; t < keys; ++t)
            mixed += scores[size_t(t)] * vs[size_t(b * p.v.batch + h / shared * p.v.head + t * p.v.row + c)];
          want[size_t(b * p.y.batch + h * p.y.head + r * p.y.row + c)] =
              p.zero_if_masked && most == -INFINITY ? 0 : mixed / sum;
        }
      }
  expect_near(got, want, 2e-5);
}

class CudaAttention : public testing::TestWithParam<size_t> {
 protected:
  const cuda::Row<AttentionProblem, AttentionArgs>& row = cuda::attention_family().all()[GetParam()];
};
TEST_P(CudaAttention, SizesAroundTheTile) {
  for (const int64_t n : test::around(row.tile)) {
    check_attention(row, n, 7, 8, 5, 0);
    if (n) check_attention(row, 3, n, 5, 8, 0);
  }
  check_attention(row, 70, 100, 16, 16, 0);
  const int64_t most = GetParam() == 0 ? 64 : GetParam() == 1 ? 128 : 256;
  for (const int64_t size : {int64_t{1}, most - 1, most})
    check_attention(row, 2, 40, size, most, 0), check_attention(row, 2, 3, most, size, 0);
  const auto refuses = [&](int64_t size, int64_t value_size) {
    cuda::AttentionProblem problem{};
    problem.size = size, problem.value_size = value_size;
    return row.refusal(problem) != nullptr;
  };
  EXPECT_TRUE(refuses(most + 1, 1));
  EXPECT_TRUE(refuses(1, most + 1));
}
TEST_P(CudaAttention, MasksLayoutsAndSharedHeads) {
  for (const int masking : {1, 2, 3, 4}) {
    check_attention(row, 5, 33, 8, 8, masking);
    check_attention(row, 33, 5, 8, 8, masking, true);
  }
  check_attention(row, 70, 70, 8, 8, 4);
  check_attention(row, 40, 100, 8, 8, 4, true);
  check_attention(row, 4, 40, 8, 6, 1, true, 2);
  check_attention(row, 4, 40, 8, 6, 0, false, 4);
}
TEST_P(CudaAttention, AQueryWithoutKeysIsNotANumber) {
  AttentionProblem p{1, 1, 1, 1, 2, 1, 1, 1, false, false, {}, {2, 2, 1}, {2, 2, 1}, {}, true, {0, 0, 0, 1}};
  const test::OnDevice<float> q(std::vector<float>{1}), k(std::vector<float>{1, 2}),
      mask(std::vector<float>{-INFINITY, -INFINITY});
  EXPECT_TRUE(std::isnan(
      test::run(row, p, AttentionArgs{q.data(), k.data(), k.data(), mask.data(), nullptr}, &AttentionArgs::y, 1)[0]));
}
INSTANTIATE_TEST_SUITE_P(Rows, CudaAttention, testing::Range<size_t>(0, cuda::attention_family().count),
                         [](const auto& info) { return std::string(cuda::attention_family().all()[info.param].name); });

// --- Recurrent nets ---

struct Case {
  RnnKind kind;
  int64_t hidden, time, batch;
  bool reset_later = false, reverse = false, states = true, bias = true;
  std::vector<int32_t> lengths = {};
};
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void check_rnn(const Case& t) {
  const auto& row = cuda::rnn_family().all()[0];
  const RnnProblem p{{t.kind, 1, t.hidden, t.reset_later}, t.time, t.batch, t.reverse, 2 * t.batch * t.hidden};
  const int64_t n = t.hidden, gates = p.spec.gates(), rows = gates * n, states = t.batch * n;
  SCOPED_TRACE(std::string(schema::name(t.kind)) + " " + std::to_string(n) + " " + std::to_string(t.time) + " " +
               std::to_string(t.batch) + (t.reverse ? " reverse" : "") + (t.reset_later ? " linear_before_reset" : ""));
  ASSERT_EQ(row.refusal(p), nullptr);
  const test::Buffer x(size_t(t.time * t.batch * rows), 1), r(size_t(rows * n), 2, -0.5f, 0.5f), bias(size_t(n), 3),
      h0(size_t(states), 4), c0(size_t(states), 5);
  const test::OnDevice<float> x_(x), r_(r), bias_(bias), h0_(h0), c0_(c0);
  const test::OnDevice<int32_t> lengths_(t.lengths);
  const test::OnDevice<std::byte> scratch(size_t(row.scratch(p)));
  const size_t y_size = t.time ? size_t((t.time - 1) * p.y_step + states) : 0;
  test::OnDevice<float> h(static_cast<size_t>(states)), c(static_cast<size_t>(states));
  const RnnArgs args{x_.data(),
                     r_.data(),
                     t.bias ? bias_.data() : nullptr,
                     t.states ? h0_.data() : nullptr,
                     t.states ? c0_.data() : nullptr,
                     t.lengths.empty() ? nullptr : lengths_.data(),
                     nullptr,
                     h.data(),
                     c.data(),
                     scratch.data()};
  const auto y = test::run(row, p, args, &RnnArgs::y, y_size);
  std::vector<double> want_y(y.begin(), y.end()), want_h(static_cast<size_t>(states)),
      want_c(static_cast<size_t>(states));
  if (t.states) want_h.assign(h0.data(), h0.data() + states), want_c.assign(c0.data(), c0.data() + states);
  for (int64_t b = 0; b < t.batch; ++b)
    for (int64_t s = 0; s < t.time; ++s) {
      const int64_t length = t.lengths.empty() ? t.time : t.lengths[size_t(b)];
      double* hs = want_h.data() + b * n;
      if (s >= length) {
        for (int64_t j = 0; j < n; ++j) want_y[size_t(s * p.y_step + b * n + j)] = 0;
        continue;
      }
      const int64_t step = t.reverse ? length - 1 - s : s;
      const std::vector<double> before(hs, hs + n);
      const auto in = [&](int64_t gate, int64_t j) {
        return double(x[size_t((step * t.batch + b) * rows + gate * n + j)]);
      };
      const auto recurrent = [&](int64_t gate, int64_t j, const std::vector<double>& from) {
        double sum = 0;
        for (int64_t k = 0; k < n; ++k) sum += double(r[size_t((gate * n + j) * n + k)]) * from[size_t(k)];
        return sum;
      };
      std::vector<double> reset(static_cast<size_t>(n));
      if (t.kind == RnnKind::gru)
        for (int64_t j = 0; j < n; ++j) reset[size_t(j)] = sigmoid(in(1, j) + recurrent(1, j, before));
      std::vector<double> kept(static_cast<size_t>(n));
      for (int64_t j = 0; j < n; ++j) kept[size_t(j)] = reset[size_t(j)] * before[size_t(j)];
      for (int64_t j = 0; j < n; ++j) {
        if (t.kind == RnnKind::lstm) {
          double& cell = want_c[size_t(b * n + j)];
          cell = sigmoid(in(2, j) + recurrent(2, j, before)) * cell +
                 sigmoid(in(0, j) + recurrent(0, j, before)) * std::tanh(in(3, j) + recurrent(3, j, before));
          hs[j] = sigmoid(in(1, j) + recurrent(1, j, before)) * std::tanh(cell);
        } else if (t.kind == RnnKind::gru) {
          const double update = sigmoid(in(0, j) + recurrent(0, j, before)), b_j = t.bias ? bias[size_t(j)] : 0;
          const double other =
              t.reset_later ? reset[size_t(j)] * (recurrent(2, j, before) + b_j) : recurrent(2, j, kept) + b_j;
          hs[j] = (1 - update) * std::tanh(in(2, j) + other) + update * before[size_t(j)];
        } else {
          hs[j] = std::tanh(in(0, j) + recurrent(0, j, before));
        }
      }
      for (int64_t j = 0; j < n; ++j) want_y[size_t(step * p.y_step + b * n + j)] = hs[j];
    }
  expect_near(y, want_y, 1e-5);
  expect_near(h.read(), want_h, 1e-5);
  if (t.kind == RnnKind::lstm) expect_near(c.read(), want_c, 1e-5);
}

TEST(CudaRnn, EveryKind) {
  for (const RnnKind kind : {RnnKind::rnn, RnnKind::gru, RnnKind::lstm})
    for (const bool later : {false, true}) {
      if (later && kind != RnnKind::gru) continue;
      for (const int64_t hidden : {1, 3, 31, 32, 33, 70}) check_rnn({kind, hidden, 3, 2, later});
      check_rnn({kind, 5, 4, 3, later, true});
      check_rnn({kind, 5, 1, 1, later, false, false, false});
      check_rnn({kind, 5, 2, 3, later, false, false});
      check_rnn({kind, 5, 0, 2, later});
      check_rnn({kind, 6, 4, 3, later, false, true, true, {4, 0, 2}});
      check_rnn({kind, 6, 4, 3, later, true, true, true, {1, 4, 3}});
    }
}
TEST(CudaRnn, ReportsALength) {
  const auto& row = cuda::rnn_family().all()[0];
  const RnnProblem p{{RnnKind::lstm, 1, 2, false}, 3, 2, false, 4};
  const test::OnDevice<float> x(test::Buffer(3 * 2 * 8, 1)), r(test::Buffer(16, 2)), y(12), h(4), c(4);
  const test::OnDevice<int32_t> lengths(std::vector<int32_t>{3, 4});
  const test::OnDevice<std::byte> scratch(size_t(row.scratch(p)));
  const cuda::Fault fault = test::fault_of(row, p,
                                           RnnArgs{x.data(), r.data(), nullptr, nullptr, nullptr, lengths.data(),
                                                   y.data(), h.data(), c.data(), scratch.data()});
  EXPECT_TRUE(fault.any && fault.what == cuda::Refused::length);
  EXPECT_EQ(fault.position, 1);
}
}  // namespace
