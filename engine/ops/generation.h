// What generating tokens needs beside the choice among them: the decoder with its states, and what its scores may not be.
#pragma once
#include <cmath>
#include "engine/op.h"

namespace engine {
// Tokens of each row so far.
using Sequences = std::vector<Scratch<int32_t>>;
// The rows of the tokens given, each `beams` times.
Sequences beginnings(const ConstView& tokens, int64_t beams);

struct GenerateInputs {
  enum : size_t { tokens, longest, shortest, beams, returned, length_penalty, repetition_penalty, vocabulary, prefix, attention, captures };
};

// Runs the body on rows that each have a sequence; every batch row has `beams` of them.
class Decoder {
 public:
  Decoder(const schema::Generate&, RunContext&, int64_t beams);
  // The scores of the next token, [rows,V]: logits, less what the masks, repetitions and the shortest length forbid. `logarithm`:
  // log probabilities.
  std::span<double> next(const Sequences&, bool logarithm);
  // Row r goes on from what row from[r] was, with one more token.
  void advance(std::span<const int32_t> tokens, std::span<const int64_t> from);
  int64_t vocabulary() const { return vocabulary_; }
  int64_t longest() const { return longest_; }

 private:
  void restrict(const Sequences&, std::span<double> row, size_t r) const;
  const schema::Generate& op_;
  RunContext& c_;
  const int64_t beams_;
  int64_t longest_ = 0, shortest_ = 0, vocabulary_ = 0, start_ = 0;
  double repetition_ = 1;
  Object ids_, positions_, mask_;
  std::vector<Object> states_;
  Scratch<int32_t> following_;  // by row: the position of the next token
  Scratch<double> scores_;
};

// The element of an optional input with one.
double only_number(RunContext&, size_t k, double fallback);
}  // namespace engine
