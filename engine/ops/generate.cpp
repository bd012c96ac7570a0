#include <algorithm>
#include <numeric>
#include "engine/ops/generation.h"
#include "engine/shape.h"

namespace engine {
namespace {
using schema::Generate;
using In = GenerateInputs;

Types infer(const Generate& op, const InferContext& in) {
  check(in.bodies() == 1, "has ", in.bodies(), " bodies instead of 1");
  check(op.states >= 0 && op.states < limits::ports && op.heads > 0 && op.heads < limits::extent && op.head_size > 0 && op.head_size < limits::extent,
        op.states, " states of ", op.heads, " heads of ", op.head_size, " elements are not possible");
  const Dims tokens = in.expect_rank(In::tokens, 2);
  in.expect_dtype(In::tokens, {DType::i32});
  for (size_t k : {In::vocabulary, In::prefix, In::attention})
    if (in.has(k)) in.expect_dtype(k, {DType::i32});
  if (in.has(In::vocabulary)) in.expect_rank(In::vocabulary, 1);
  if (in.has(In::prefix))
    check(may_equal(in.expect_rank(In::prefix, 2)[0], tokens[0]), "input 8 is ", in.in(In::prefix));
  for (size_t k : {In::longest, In::shortest, In::beams, In::returned})
    if (in.has(k)) in.expect_class(k, schema::DTypeClass::integer);
  for (size_t k : {In::length_penalty, In::repetition_penalty})
    if (in.has(k)) in.expect_class(k, schema::DTypeClass::real);
  check(in.has(In::longest), "input 1 is missing");
  const Dim unknown = Dim::unknown();
  Types inputs(3, Type::tensor(DType::i32, {unknown, unknown}));
  for (int64_t s = 0; s < op.states; ++s) inputs.push_back(Type::tensor(DType::f32, {2, unknown, op.heads, unknown, op.head_size}));
  for (size_t k = In::captures; k < in.inputs(); ++k) inputs.push_back(in.in(k));
  check(in.body(0).inputs.size() == inputs.size(), "the decoder has ", in.body(0).inputs.size(), " inputs instead of ", inputs.size());
  const Types made = infer_body(in.body(0), inputs);
  check(int64_t(made.size()) > op.states, "the decoder has ", made.size(), " outputs instead of ", op.states + 1);
  for (const Type& t : made) check(t.is_tensor() && schema::is_real(t.dtype), "the decoder makes ", t);
  Types types{Type::tensor(DType::i32, op.greedy ? Dims{tokens[0], unknown} : Dims{tokens[0], unknown, unknown}), Type::tensor(DType::f32, {tokens[0], unknown})};
  check(in.outputs() <= (op.greedy ? 1 : 2), "has ", in.outputs(), " outputs");
  types.resize(in.outputs());
  return types;
}

void greedy_search(const Generate& op, RunContext& c) {
  const ConstView& tokens = c.in(In::tokens);
  Decoder decoder(op, c, 1);
  Sequences made = beginnings(tokens, 1);
  std::vector<int64_t> from(made.size());
  std::iota(from.begin(), from.end(), 0);
  std::vector<bool> done(made.size());
  Scratch<int32_t> next(made.size());
  for (int64_t length = tokens.shape[1]; length < decoder.longest(); ++length) {
    if (made.empty() || std::ranges::all_of(done, std::identity())) break;
    const auto scores = decoder.next(made, false);
    for (size_t r = 0; r < made.size(); ++r) {
      const auto row = scores.subspan(r * size_t(decoder.vocabulary()), size_t(decoder.vocabulary()));
      next[r] = done[r] ? int32_t(op.pad) : int32_t(std::ranges::max_element(row) - row.begin());
      done[r] = done[r] || next[r] == op.eos;
      made[r].push_back(next[r]);
    }
    if (length + 1 < decoder.longest()) decoder.advance(next, from);
  }
  const int64_t shape[] = {int64_t(made.size()), decoder.longest()};
  const View y = c.set_out(0, DType::i32, shape);
  for (size_t r = 0; r < made.size(); ++r)
    for (int64_t s = 0; s < shape[1]; ++s) store(y, int64_t(r) * shape[1] + s, Int(s < int64_t(made[r].size()) ? made[r][size_t(s)] : op.pad));
}

// The best finished sequences of a batch row, best first.
struct Finished {
  struct Entry {
    double score;
    Scratch<int32_t> tokens;
  };
  std::vector<Entry> best;
  bool done = false;
  void add(const Scratch<int32_t>& tokens, double sum, double penalty, size_t most) {
    const double score = sum / std::pow(double(tokens.size()), penalty);
    if (best.size() == most && score <= best.back().score) return;
    if (best.size() == most) best.pop_back();
    best.insert(std::ranges::upper_bound(best, score, std::greater(), &Entry::score), {score, tokens});
  }
};

void beam_search(const Generate& op, RunContext& c) {
  const ConstView& tokens = c.in(In::tokens);
  const double wanted = only_number(c, In::beams, 1), given = only_number(c, In::returned, 1), penalty = only_number(c, In::length_penalty, 1);
  check(wanted >= 1 && wanted <= 1024 && given >= 1 && given <= wanted, wanted, " beams and ", given, " sequences to return are not possible");
  const auto beams = int64_t(wanted), returned = int64_t(given), batch = tokens.shape[0];
  Decoder decoder(op, c, beams);
  Sequences made = beginnings(tokens, beams);
  std::vector<Finished> finished{size_t(batch)};
  Scratch<double> sums(made.size());
  for (size_t r = 0; r < sums.size(); ++r) sums[r] = int64_t(r) % beams ? -1e9 : 0;  // at first all beams are the same
  Scratch<int32_t> next(made.size());
  std::vector<int64_t> from(made.size());
  Scratch<int64_t> order;
  for (int64_t length = tokens.shape[1]; length < decoder.longest(); ++length) {
    const auto scores = decoder.next(made, true);
    const int64_t words = decoder.vocabulary(), all = beams * words, some = std::min(2 * beams, all);
    Scratch<double> kept(made.size());
    for (int64_t b = 0; b < batch; ++b) {
      const auto score = [&](int64_t i) { return scores[size_t(b * all + i)] + sums[size_t(b * beams + i / words)]; };
      order.resize(size_t(all));
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(order.begin(), order.begin() + some, order.end(), [&](int64_t i, int64_t j) { return score(i) > score(j) || (score(i) == score(j) && i < j); });
      Finished& f = finished[size_t(b)];
      int64_t beam = 0;
      for (int64_t rank = 0; !f.done && rank < some && beam < beams; ++rank) {
        const int64_t i = order[size_t(rank)], row = b * beams + i / words;
        if (i % words == op.eos) {
          if (rank < beams) f.add(made[size_t(row)], score(i), penalty, size_t(beams));
          continue;
        }
        const size_t to = size_t(b * beams + beam++);
        next[to] = int32_t(i % words), from[to] = row, kept[to] = score(i);
      }
      for (; beam < beams; ++beam) {  // nothing more is made of these
        const size_t to = size_t(b * beams + beam);
        next[to] = int32_t(op.pad), from[to] = int64_t(to), kept[to] = f.done ? 0 : -1e9;
      }
      if (!f.done && int64_t(f.best.size()) == beams)
        f.done = op.early_stopping || f.best.back().score >= score(order[0]) / std::pow(double(length), penalty);
    }
    Sequences longer(made.size());
    for (size_t r = 0; r < made.size(); ++r) longer[r] = made[size_t(from[r])], longer[r].push_back(next[r]);
    made = std::move(longer), sums = std::move(kept);
    if (std::ranges::all_of(finished, &Finished::done)) break;
    if (length + 1 < decoder.longest()) decoder.advance(next, from);
  }
  const int64_t shape[] = {batch, returned, decoder.longest()};
  const View y = c.set_out(0, DType::i32, shape);
  View ranks;
  if (c.wants(1)) ranks = c.set_out(1, DType::f32, std::span(shape).first(2));
  for (int64_t b = 0; b < batch; ++b) {
    Finished& f = finished[size_t(b)];
    for (int64_t k = 0; k < beams && !f.done; ++k) f.add(made[size_t(b * beams + k)], sums[size_t(b * beams + k)], penalty, size_t(beams));
    for (int64_t k = 0; k < returned; ++k) {
      const auto* entry = k < int64_t(f.best.size()) ? &f.best[size_t(k)] : nullptr;
      for (int64_t s = 0; s < shape[2]; ++s)
        store(y, (b * returned + k) * shape[2] + s, Int(entry && s < int64_t(entry->tokens.size()) ? entry->tokens[size_t(s)] : op.pad));
      if (c.wants(1)) store(ranks, b * returned + k, entry ? entry->score : 0.0);
    }
  }
}

void reference(const Generate& op, RunContext& c) { op.greedy ? greedy_search(op, c) : beam_search(op, c); }
}  // namespace

const OpDef<Generate>& def(const Generate&) {
  static constexpr OpDef<Generate> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
