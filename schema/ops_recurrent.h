// The op catalogue, continued: recurrent nets and attention. As ops.h has it.
#pragma once
#include "schema/op_fields.h"

namespace schema {
#define F(name) v(#name, &Self::name)

// ONNX's RNN, GRU and LSTM with `layout` 0: x [T,B,I]. Inputs: x, w, r, [b], [sequence lengths], [h0], and for LSTM
// [c0], [peepholes]. Outputs: y [T,D,B,H], h [D,B,H], and for LSTM c. Empty activations are the kind's own, per
// direction; clip 0 means none.
struct Rnn {
  static constexpr int version = 1;
  RnnKind kind = RnnKind::lstm;
  RnnDirection direction = RnnDirection::forward;
  int64_t hidden = 0;
  bool input_forget = false, linear_before_reset = false;
  double clip = 0;
  Strings activations;
  std::vector<double> alpha, beta;
  SCHEMA_FIELDS(Rnn, F(kind), F(direction), F(hidden), F(input_forget), F(linear_before_reset), F(clip), F(activations),
                F(alpha), F(beta))
};

// y = softmax(scale * q·kᵀ + mask) · v for each head. Inputs: q [B,H,S,D], k [B,G,T,D], v [B,G,T,E], [mask, which broadcasts to
// [B,H,S,T]]. Output: y [B,H,S,E]. H / G heads of q share one of k and v. What `…_rows_first` names has its rows before its heads,
// [B,S,H,D]. If `causal`, query s sees the keys up to T - S + s. With `zero_if_masked`, a query whose keys are all masked by -infinity gives 0 instead of NaN.
struct Attention {
  static constexpr int version = 1;
  static constexpr bool portable = false;
  double scale = 1;
  bool q_rows_first = false, k_rows_first = false, v_rows_first = false, y_rows_first = false, zero_if_masked = false, causal = false;
  SCHEMA_FIELDS(Attention, F(scale), F(q_rows_first), F(k_rows_first), F(v_rows_first), F(y_rows_first), F(zero_if_masked), F(causal))
};

// Grouped-query attention over a cache. Inputs: q [B,S,heads*D], k, v [B,S,kv_heads*D], [past k, past v [B,kv_heads,P,D]],
// tokens in the cache afterwards - 1 (i32 [B]), the most of them (i32 scalar), [cos, sin [L,D/2]], [positions for rotary
// embedding i64 [B,S]: where the past is empty, the first says all], [bias of the scores, broadcast to [B,heads,S,total]],
// [sinks [heads], which take part in the softmax and have no value], [weights of a root mean square norm of each head of q, of k
// [D]], [valid tokens of q i32 [B]: the rest is padding], [scales of a quantised k, of v f32: one, or [1,kv_heads,1,D]]. Outputs: y as q, present k, present v [B,kv_heads,max(P,total),D],
// scores [B,heads,S,total]: before the softmax (1) or after (2), as `scores` says. scale 0 means 1/sqrt(D); window < 0 means all;
// `smooth`: a sink of 0 for every head. A `sliding` cache keeps P rows and the last tokens only, the window's at least. With scales
// the cache is i8 or f8e4m3fn, or two numbers of 4 bits in a u8, plus 8, the first in the low half.
struct GroupQueryAttention {
  static constexpr int version = 1;
  int64_t heads = 0, kv_heads = 0, window = -1;
  double scale = 0, softcap = 0;
  bool rotary = false, interleaved = false, causal = true, smooth = false, sliding = false;
  int64_t scores = 0;
  double q_epsilon = 1e-6, k_epsilon = 1e-6;
  SCHEMA_FIELDS(GroupQueryAttention, F(heads), F(kv_heads), F(window), F(scale), F(softcap), F(rotary), F(interleaved), F(causal), F(smooth),
                F(sliding), F(scores), F(q_epsilon), F(k_epsilon))
};

// Attention with a state S [D,V] for each of `kv_heads` heads instead of a cache. For each token S is multiplied by exp(decay)
// (gated), and gains k ⊗ v, or k ⊗ beta*(v - Sᵀk) (delta); then y = scale * Sᵀq for each query of the head, which `heads` /
// `kv_heads` share. Inputs: q [B,T,heads*D], k [B,T,kv_heads*D], v [B,T,kv_heads*V], [past S [B,kv_heads,D,V]: zeros],
// decay [B,T,kv_heads*D or kv_heads] if gated, beta [B,T,kv_heads or 1] if delta. Outputs: y [B,T,heads*V], S. Scale 0
// means 1/sqrt(D). Computed in f32.
struct LinearAttention {
  static constexpr int version = 1;
  int64_t heads = 0, kv_heads = 0;
  double scale = 0;
  LinearAttentionRule rule = LinearAttentionRule::gated_delta;
  SCHEMA_FIELDS(LinearAttention, F(heads), F(kv_heads), F(scale), F(rule))
};

// A convolution of each channel of x, behind what came before it: y[n,c,i] = b[c] + sum over r of p[n,c,i+r] * w[c,0,r],
// where p is the past and then x. Inputs: x [N,C,L], w [C,1,K], [b [C]], [past [N,C,K-1]: zeros]. Outputs: y [N,C,L],
// and the last K-1 elements of each row of p, the past of what follows. Computed in f32.
struct CausalConvWithState {
  static constexpr int version = 1;
  SCHEMA_FIELDS(CausalConvWithState)
};
#undef F
}  // namespace schema
