#include "engine/ops/generation.h"
#include <algorithm>

namespace engine {
namespace {
using schema::Generate;
using In = GenerateInputs;
constexpr double lowest = -3.4e38;       // of a token that may not be made
constexpr int64_t most_tokens = 1 << 20;  // of a sequence
constexpr int64_t most_rows = 1 << 16;

View integers(Object& o, int64_t rows, int64_t columns) {
  const int64_t shape[] = {rows, columns};
  return o.set_tensor(DType::i32, shape);
}
}  // namespace

Sequences beginnings(const ConstView& tokens, int64_t beams) {
  Sequences all(size_t(tokens.shape[0] * beams));
  for (size_t r = 0; r < all.size(); ++r)
    for (int64_t s = 0; s < tokens.shape[1]; ++s) all[r].push_back(int32_t(load<Int>(tokens, int64_t(r) / beams * tokens.shape[1] + s).v));
  return all;
}

double only_number(RunContext& c, size_t k, double fallback) {
  if (!c.has(k)) return fallback;
  check(c.in(k).elements() == 1, "input ", k, " must have one element, not ", c.in(k).elements());
  return load<double>(c.in(k), 0);
}

Decoder::Decoder(const Generate& op, RunContext& c, int64_t beams) : op_(op), c_(c), beams_(beams), states_(size_t(op.states)) {
  const ConstView& tokens = c.in(In::tokens);
  const int64_t batch = tokens.shape[0], length = tokens.shape[1], rows = batch * beams;
  start_ = length;
  const double longest = only_number(c, In::longest, 0), shortest = only_number(c, In::shortest, 0);
  require(longest <= double(most_tokens) && rows <= most_rows, Code::limit, rows, " sequences of up to ", longest, " tokens are more than ", most_rows,
          " of ", most_tokens);
  check(length >= 1 && longest >= double(length), "the longest length ", longest, " is below the ", length, " tokens that there are");
  longest_ = int64_t(longest), shortest_ = shortest > 0 ? int64_t(std::min(shortest, longest)) : 0;
  repetition_ = only_number(c, In::repetition_penalty, 1);
  check(repetition_ > 0, "the repetition penalty is ", repetition_);
  if (c.has(In::attention)) c.expect_shape(In::attention, {batch, length});
  const View ids = integers(ids_, rows, length), positions = integers(positions_, rows, length), mask = integers(mask_, rows, length);
  following_.assign(size_t(rows), 0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t s = 0; s < length; ++s) {
      const int64_t from = r / beams * length + s, to = r * length + s;
      const Int token = load<Int>(tokens, from);
      int32_t& place = following_[size_t(r)];
      const bool seen = c.has(In::attention) ? load<Int>(c.in(In::attention), from).v != 0 : place > 0 || token.v != op.pad;
      store(ids, to, token), store(mask, to, Int(seen)), store(positions, to, Int(seen ? place : 0));
      place += seen;
    }
  const int64_t past[] = {2, rows, op.heads, 0, op.head_size};
  for (Object& state : states_) state.set_tensor(DType::f32, past);
}

std::span<double> Decoder::next(const Sequences& sequences, bool logarithm) {
  c_.check_stop();
  std::vector<ConstView> in{std::as_const(ids_).view(), std::as_const(positions_).view(), std::as_const(mask_).view()};
  for (const Object& state : states_) in.push_back(state.view());
  for (size_t k = In::captures; k < c_.inputs(); ++k) in.push_back(c_.in(k));
  const auto out = c_.body(0).run(in);
  const auto rows = int64_t(sequences.size());
  check(out.size() > states_.size() && out[0].rank() == 3 && out[0].shape[0] == rows &&
            out[0].shape[1] == ids_.shape[1] && out[0].shape[2] > 0,
        "the decoder's logits are ", out[0].shape, " for ", rows, " rows of ", ids_.shape[1], " tokens");
  vocabulary_ = out[0].shape[2];
  for (size_t k = 0; k < states_.size(); ++k) {
    const auto& shape = out[k + 1].shape;
    check(out[k + 1].dtype == DType::f32 && shape.size() == 5 && shape[0] == 2 && shape[1] == rows, "state ", k,
          " becomes ", shape);
    states_[k].assign(out[k + 1]);
  }
  scores_.resize(size_t(rows * vocabulary_));
  for (int64_t r = 0; r < rows; ++r) {
    const auto row = std::span(scores_).subspan(size_t(r * vocabulary_), size_t(vocabulary_));
    const int64_t last = (r * out[0].shape[1] + out[0].shape[1] - 1) * vocabulary_;
    for (int64_t v = 0; v < vocabulary_; ++v) row[size_t(v)] = load<double>(out[0], last + v);
    if (logarithm) {
      const double most = *std::ranges::max_element(row);
      double sum = 0;
      for (const double x : row) sum += std::exp(x - most);
      for (double& x : row) x -= most + std::log(sum);
    }
    restrict(sequences, row, size_t(r));
  }
  return scores_;
}

void Decoder::restrict(const Sequences& sequences, std::span<double> row, size_t r) const {
  const auto& made = sequences[r];
  const auto length = int64_t(made.size()), n = op_.no_repeat_ngram;
  const auto known = [&](int64_t token) { return token >= 0 && token < vocabulary_; };
  if (repetition_ != 1) {
    Scratch<int32_t> distinct(made);
    std::ranges::sort(distinct);
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    for (const int32_t token : distinct)
      if (known(token)) row[size_t(token)] *= row[size_t(token)] < 0 ? repetition_ : 1 / repetition_;
  }
  if (n > 0 && length >= n)  // what would end an n-gram that is there
    for (int64_t i = 0; i + n <= length; ++i)
      if (std::equal(made.begin() + i, made.begin() + i + n - 1, made.end() - (n - 1)) && known(made[size_t(i + n - 1)]))
        row[size_t(made[size_t(i + n - 1)])] = lowest;
  const auto mask = [&](size_t k, int64_t first) {
    check(c_.in(k).shape.back() == vocabulary_, "input ", k, " is ", c_.in(k).shape, " for a vocabulary of ",
          vocabulary_);
    for (int64_t v = 0; v < vocabulary_; ++v)
      if (load<Int>(c_.in(k), first + v).v == 0) row[size_t(v)] = lowest;
  };
  if (c_.has(In::vocabulary)) mask(In::vocabulary, 0);
  if (c_.has(In::prefix) && length == start_) mask(In::prefix, int64_t(r) / beams_ * vocabulary_);
  if (length < shortest_ && known(op_.eos)) row[size_t(op_.eos)] = lowest;
}

void Decoder::advance(std::span<const int32_t> tokens, std::span<const int64_t> from) {
  const auto rows = int64_t(tokens.size()), seen = mask_.shape[1];
  Object mask;
  const View to = integers(mask, rows, seen + 1);
  Scratch<int32_t> following(following_.size());
  for (int64_t r = 0; r < rows; ++r) {
    copy_elements(to, r * (seen + 1), mask_.view(), from[size_t(r)] * seen, seen);
    store(to, r * (seen + 1) + seen, Int(1));
    following[size_t(r)] = following_[size_t(from[size_t(r)])];
  }
  mask_ = std::move(mask), following_ = std::move(following);
  const View ids = integers(ids_, rows, 1), positions = integers(positions_, rows, 1);
  for (int64_t r = 0; r < rows; ++r) store(ids, r, Int(tokens[size_t(r)])), store(positions, r, Int(following_[size_t(r)]++));
  for (Object& state : states_) {
    Object moved;
    const View y = moved.set_tensor(DType::f32, state.shape);
    const int64_t row = state.shape[2] * state.shape[3] * state.shape[4];
    for (int64_t kv = 0; kv < 2; ++kv)
      for (int64_t r = 0; r < rows; ++r) copy_elements(y, (kv * rows + r) * row, std::as_const(state).view(), (kv * rows + from[size_t(r)]) * row, row);
    state = std::move(moved);
  }
}
}  // namespace engine
