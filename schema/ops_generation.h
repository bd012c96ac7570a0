// The op catalogue, continued: sequences that a model generates token by token. As ops.h has it.
#pragma once
#include "schema/op_fields.h"

namespace schema {
#define F(name) v(#name, &Self::name)

// What a decoder makes of a beginning. Inputs: tokens (i32 [B,S]), longest and [shortest] length (integers), [beams], [sequences
// to return per row] (integers), [length penalty], [repetition penalty] (real), [vocabulary mask (i32 [V])], [mask of the first
// token made (i32 [B,V])], [attention mask (i32 [B,S])], captures. Tokens whose mask is 0 are not made. Body inputs: tokens,
// positions, attention mask (i32 [rows,…]), `states` pasts [2,rows,heads,P,head_size], captures; outputs: logits
// [rows,S,V], the states with what is new. Leading `pad` tokens are not attended to.
// Beam search: keeps `beams` candidates per row, and ranks finished ones by the sum of log probabilities over
// length^penalty. Outputs: sequences (i32 [B,returned,longest], filled up with `pad`), [their scores [B,returned]].
// `greedy`: takes the likeliest token each time, and pads behind `eos`. Output: sequences (i32 [B,longest or fewer]).
struct Generate {
  static constexpr int version = 1;
  int64_t eos = 0, pad = 0, heads = 1, head_size = 1, states = 0, no_repeat_ngram = 0;
  bool early_stopping = false, greedy = false;
  SCHEMA_FIELDS(Generate, F(eos), F(pad), F(heads), F(head_size), F(states), F(no_repeat_ngram), F(early_stopping), F(greedy))
};
#undef F
}  // namespace schema
