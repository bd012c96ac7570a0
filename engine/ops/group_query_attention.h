// What inference, the reference and the lowering of GroupQueryAttention share.
#pragma once
#include "engine/op.h"

namespace engine {
namespace gqa {
// Inputs, behind q, k, v.
enum : size_t { past_k = 3, past_v, lengths, total, cos_table, sin_table, position_ids, bias_of_scores, sinks, q_norm, k_norm, valid_lengths, k_scale, v_scale };

// Extents that inference saw as symbols: throws where an input does not fit q.
void check_extents(const schema::GroupQueryAttention&, const RunContext&);
// Of a sequence, in tokens: those in the cache when the run ends, those of q that count, and the cache's before.
struct Tokens {
  int64_t after, valid, before;
};
// Of sequence b, from the lengths at run. Throws where they contradict the total or q's length.
Tokens tokens_of(const RunContext&, int64_t b, int64_t total);
// For rotary embedding, of token s of sequence b. A prompt counts from its first position.
int64_t position_of(const RunContext&, int64_t b, int64_t s, int64_t before, int64_t total);
// The number of tokens that the largest sequence has, in the limits.
int64_t total_of(const RunContext&);
}  // namespace gqa

void reference_group_query_attention(const schema::GroupQueryAttention&, RunContext&);
std::optional<Lowered> lower_group_query_attention(const schema::GroupQueryAttention&, const LowerContext&);
}  // namespace engine
