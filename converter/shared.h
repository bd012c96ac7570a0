// What ONNX's own ops and the contributed ones of other domains are made of alike.
#pragma once
#include "converter/onnx_node.h"

namespace converter {
// --- import_attention.cpp: attention, whose tensors are [batch,heads,sequence,head size] ---
// [B,S,heads*D] → [B,heads,S,D]; what has rank 4 stays.
ValueId split_heads(OnnxNode&, ValueId, int64_t heads);
// [B,heads,S,D] → [B,S,heads*D]
ValueId join_heads(OnnxNode&, ValueId);
// Each head of v as often as heads of q share it.
ValueId repeat_heads(OnnxNode&, ValueId v, ValueId q);
// Whether a query may see a key: those at its own place, which is behind `past` keys, and before. [S,T]; q and k have the
// sequence as dim 2.
ValueId causal_mask(OnnxNode&, ValueId q, ValueId k, ValueId past);
// Rotates pairs of elements of x, [B,heads,S,D] or [B,S,heads*D], by the angles in rows of cos and sin; `positions` says which
// rows ([B,S]), or none: one per token.
struct Rotary {
  int64_t heads = 0, partial = 0;  // `partial`: so many elements of a head; 0: all
  bool interleaved = false;        // element 2i with 2i + 1, instead of i with i + half
};
ValueId rotated(OnnxNode&, const Rotary&, ValueId x, ValueId cos, ValueId sin, ValueId positions);

// --- import_conv.cpp, import_matmul.cpp: what the attributes say ---
schema::Conv conv_op(OnnxNode&);
schema::Pool average_pool_op(OnnxNode&);
ValueId gemm_of(OnnxNode&);

// --- import_quantise.cpp ---
// Input x, whose scale and zero point follow it, as real numbers; the zero point may be absent.
ValueId dequantised(OnnxNode&, size_t x, int64_t axis = 1);
// Sets output 0 to y in the dtype of the zero point (or u8); scale and zero point are inputs `scale` and the one behind it.
void set_quantised(OnnxNode&, ValueId y, size_t scale);
// a · b of 8 bits, each less its zero point (absent: 0), in i32.
ValueId integer_product(OnnxNode&, ValueId a, ValueId b, ValueId a_zero, ValueId b_zero);
}  // namespace converter
