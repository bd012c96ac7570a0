// A model of each family of ops, whose extents change from run to run.
#pragma once
#include <functional>
#include <random>
#include "engine/graph_text.h"

namespace stress {
using namespace engine;
using Random = std::mt19937;
inline int64_t between(Random& random, int64_t low, int64_t high) {
  return low + int64_t(random() % uint64_t(high - low + 1));
}

struct Symbol {
  const char* name;
  int64_t low, high;
};
using Extents = std::map<std::string, int64_t>;

struct Family {
  const char* name;
  std::string text;  // of the graph
  std::vector<Symbol> symbols;
  // Draws the elements of an input; null, or false: f32 from -1 to 1, i64 from 0 to 4, booleans.
  std::function<bool(const std::string& input, const Extents&, Random&, const View&)> fill = {};
  int places = 1;  // where plans are kept: 1, and one for each body and each size found at run that plans stop at
};

// "const NAME f32[SHAPE] {…}": numbers of both signs that get smaller as more of them are summed up.
inline std::string weights(const std::string& name, const Shape& shape, unsigned seed) {
  Random random(seed);
  const double terms = double(std::max<int64_t>(1, elements(shape) / std::max<int64_t>(1, shape[0])));
  std::string numbers;
  for (int64_t i = 0, n = elements(shape); i < n; ++i)
    numbers += cat(i ? "," : "", (double(random() % 2001) / 1000 - 1) / std::sqrt(terms));
  return cat("const ", name, " f32", to_text(shape), " {", numbers, "}\n");
}
// An index along a dim, also from its end.
inline void fill_indices(Random& random, const View& to, int64_t extent) {
  for (int64_t& i : to.as<int64_t>()) i = between(random, -extent, extent - 1);
}

inline std::vector<Family> families() {
  std::vector<Family> all;
  all.push_back({"elementwise",
                 "input x f32[n,1,w]\n"
                 "input y f32[h,w]\n"
                 "s = Binary (x, y)\n"
                 "t = Unary kind=silu a=1 (s)\n"
                 "m = Binary kind=mul (t, x)\n"
                 "g = Binary kind=greater (m, y)\n"
                 "z = Where (g, s, m)\n"
                 "output z\n",
                 {{"n", 1, 5}, {"h", 1, 9}, {"w", 1, 40}}});
  all.push_back({"matmul",
                 "input a f32[b,m,k]\n"
                 "input c f32[k,n]\n"
                 "y = MatMul (a, c)\n"
                 "z = MatMul trans_b=1 (y, y)\n"
                 "output y\noutput z\n",
                 {{"b", 1, 3}, {"m", 1, 20}, {"k", 1, 33}, {"n", 1, 33}}});
  all.push_back({"gemm",
                 weights("w", {24, 40}, 1) + weights("bias", {40}, 2) + weights("v", {40, 7}, 3) +
                     "input x f32[m,24]\n"
                     "p = MatMul (x, w)\n"
                     "q = Binary (p, bias)\n"
                     "r = Unary kind=relu (q)\n"
                     "y = MatMul (r, v)\n"
                     "output y\n",
                 {{"m", 1, 70}}});
  all.push_back({"conv",
                 weights("k", {16, 3, 3, 3}, 4) + weights("b", {16}, 5) + weights("d", {16, 1, 3, 3}, 6) +
                     weights("p", {10, 16, 1, 1}, 7) + weights("t", {10, 4, 2, 2}, 8) +
                     "input x f32[n,3,h,w]\n"
                     "a = Conv pad=1,1,1,1 (x, k, b)\n"
                     "c = Unary kind=relu (a)\n"
                     "e = Conv stride=2,2 pad=1,1,1,1 groups=16 (c, d)\n"
                     "f = Unary kind=hard_swish (e)\n"
                     "y = Conv (f, p)\n"
                     "z = ConvTranspose stride=2,2 (y, t)\n"
                     "output y\noutput z\n",
                 {{"n", 1, 2}, {"h", 3, 14}, {"w", 3, 14}}});
  all.push_back({"pool",
                 weights("k", {8, 3, 1, 1}, 9) + "input x f32[n,3,h,w]\n"
                                                 "const spatial i64[2] {2,3}\n"
                                                 "a = Conv (x, k)\n"
                                                 "b = Pool kernel=3,3 stride=2,2 pad=1,1,1,1 (a)\n"
                                                 "c = Pool kind=average kernel=2,2 stride=1,1 ceil_mode=1 (b)\n"
                                                 "g = Reduce kind=mean (b, spatial)\n"
                                                 "output c\noutput g\n",
                 {{"n", 1, 3}, {"h", 4, 17}, {"w", 4, 17}}});
  all.push_back({"resize",
                 "input x f32[n,2,h,w]\n"
                 "input sizes i64[4]\n"
                 "const scales f32[4] {1,1,2,2}\n"
                 "a = Resize mode=linear (x, _, scales)\n"
                 "b = Resize mode=nearest coordinates=asymmetric nearest=floor (x, _, _, sizes)\n"
                 "output a\noutput b\n",
                 {{"n", 1, 2}, {"h", 2, 9}, {"w", 2, 9}},
                 [](const std::string& name, const Extents& e, Random& random, const View& to) {
                   if (name != "sizes") return false;
                   const auto sizes = to.as<int64_t>();
                   sizes[0] = e.at("n"), sizes[1] = 2, sizes[2] = between(random, 1, 12),
                   sizes[3] = between(random, 1, 12);
                   return true;
                 },
                 2});
  all.push_back({"reduce",
                 "input x f32[n,c,w]\n"
                 "const last i64[1] {-1}\n"
                 "const outer i64[2] {0,2}\n"
                 "a = Reduce kind=mean (x, last)\n"
                 "b = Reduce kind=log_sum_exp keepdims=0 (x, outer)\n"
                 "c2 = Reduce kind=max keepdims=0 (x)\n"
                 "d = ArgReduce axis=1 (x)\n"
                 "const one i64[] {1}\n"
                 "e = CumSum reverse=1 (x, one)\n"
                 "output a\noutput b\noutput c2\noutput d\noutput e\n",
                 {{"n", 1, 6}, {"c", 1, 20}, {"w", 1, 40}}});
  all.push_back({"softmax",
                 "input x f32[n,c,w]\n"
                 "a = Softmax (x)\n"
                 "b = Softmax kind=log_softmax axis=1 (x)\n"
                 "output a\noutput b\n",
                 {{"n", 1, 6}, {"c", 1, 20}, {"w", 1, 70}}});
  all.push_back({"norm",
                 weights("s", {12}, 10) + weights("o", {12}, 11) +
                     "input x f32[n,t,12]\n"
                     "l = LayerNorm (x, s, o)\n"
                     "r = LayerNorm rms=1 (l, s)\n"
                     "m = Transpose perm=0,2,1 (r)\n"
                     "g = GroupNorm groups=3 (m, s, o)\n"
                     "output r\noutput g\n",
                 {{"n", 1, 4}, {"t", 1, 25}}});
  all.push_back({"concat_split",
                 "input x f32[a,4,w]\n"
                 "input y f32[b,4,w]\n"
                 "j = Concat axis=0 (x, y, x)\n"
                 "p, q = Split axis=1 parts=2 (j)\n"
                 "s = Binary kind=sub (p, q)\n"
                 "z = Concat axis=2 (p, s, q)\n"
                 "output z\n",
                 {{"a", 1, 6}, {"b", 1, 6}, {"w", 1, 20}}});
  all.push_back({"gather_scatter",
                 "input x f32[n,w]\n"
                 "input i i64[k]\n"
                 "input j i64[n,k]\n"
                 "input u f32[k,w]\n"
                 "a = Gather axis=0 (x, i)\n"
                 "b = GatherElements axis=1 (x, j)\n"
                 "const shape i64[2] {-1,1}\n"
                 "at = Reshape (i, shape)\n"
                 "c = ScatterND kind=add (x, at, u)\n"
                 "output a\noutput b\noutput c\n",
                 {{"n", 1, 9}, {"w", 1, 17}, {"k", 1, 12}},
                 [](const std::string& name, const Extents& e, Random& random, const View& to) {
                   if (name != "i" && name != "j") return false;
                   fill_indices(random, to, e.at(name == "i" ? "n" : "w"));
                   return true;
                 }});
  all.push_back({"transpose_reshape",
                 "input x f32[n,c,h,w]\n"
                 "const zero i64[1] {0}\n"
                 "const rest i64[1] {-1}\n"
                 "s = Shape (x)\n"
                 "first = Gather (s, zero)\n"
                 "to = Concat (first, rest)\n"
                 "t = Transpose perm=0,3,1,2 (x)\n"
                 "u = Unary kind=tanh (t)\n"
                 "f = Reshape (u, to)\n"
                 "y = Transpose perm=1,0 (f)\n"
                 "v = Unsqueeze (y, zero)\n"
                 "output y\noutput v\noutput s\n",
                 {{"n", 1, 4}, {"c", 1, 9}, {"h", 1, 9}, {"w", 1, 9}}});
  all.push_back({"slice_pad",
                 "input x f32[n,w]\n"
                 "input from i64[1]\n"
                 "input to i64[1]\n"
                 "input pads i64[4]\n"
                 "const axis i64[1] {1}\n"
                 "const back i64[1] {-1}\n"
                 "const low i64[1] {-99}\n"
                 "r = Slice (x, back, low, axis, back)\n"
                 "s = Slice (r, from, to, axis)\n"
                 "p = Pad (s, pads)\n"
                 "q = Unary kind=neg (p)\n"
                 "output r\noutput q\n",
                 {{"n", 1, 7}, {"w", 5, 30}},
                 [](const std::string& name, const Extents&, Random& random, const View& to) {
                   if (name == "x") return false;
                   for (int64_t& v : to.as<int64_t>())
                     v = name == "to" ? between(random, 2, 40) : between(random, 0, 3);
                   return true;
                 },
                 3});
  all.push_back({"attention",
                 "input q f32[b,2,s,8]\n"
                 "input k f32[b,2,t,8]\n"
                 "input v f32[b,2,t,8]\n"
                 "input bias f32[s,t]\n"
                 "const scale f32[] {0.3535}\n"
                 "p = MatMul trans_b=1 (q, k)\n"
                 "r = Binary kind=mul (p, scale)\n"
                 "m = Binary (r, bias)\n"
                 "a = Softmax (m)\n"
                 "o = MatMul (a, v)\n"
                 "y = Transpose perm=0,2,1,3 (o)\n"
                 "output y\n",
                 {{"b", 1, 3}, {"s", 1, 17}, {"t", 1, 33}}});
  all.push_back({"rnn",
                 weights("w", {1, 24, 5}, 12) + weights("r", {1, 24, 6}, 13) + weights("g", {2, 18, 5}, 14) +
                     weights("h", {2, 18, 6}, 15) +
                     "input x f32[t,b,5]\n"
                     "y, z, c = Rnn hidden=6 (x, w, r)\n"
                     "u, v = Rnn kind=gru direction=bidirectional hidden=6 linear_before_reset=1 (x, g, h)\n"
                     "output y\noutput c\noutput u\noutput v\n",
                 {{"t", 1, 9}, {"b", 1, 4}}});
  all.push_back({"top_k_non_zero",
                 "input x f32[n,w]\n"
                 "input k i64[1]\n"
                 "const quarter f32[] {0.25}\n"
                 "v, i = TopK (x, k)\n"
                 "g = Binary kind=greater (x, quarter)\n"
                 "z = NonZero (g)\n"
                 "t = Transpose perm=1,0 (z)\n"
                 "p = GatherND (x, t)\n"
                 "e = Unary kind=exp (p)\n"
                 "output v\noutput i\noutput e\noutput z\n",
                 {{"n", 1, 8}, {"w", 1, 20}},
                 [](const std::string& name, const Extents& e, Random& random, const View& to) {
                   if (name != "k") return false;
                   to.as<int64_t>()[0] = between(random, 1, e.at("w"));
                   return true;
                 },
                 3});
  all.push_back({"loop",
                 "input trips i64[]\n"
                 "input x f32[n,3]\n"
                 "y, all = Loop carried=1 (trips, _, x, x) {\n"
                 "  body\n"
                 "    input i i64[]\n    input go boolean[]\n    input v f32[?,3]\n    input x2 f32[?,3]\n"
                 "    w = Concat axis=0 (v, x2)\n"
                 "    const half f32[] {0.5}\n"
                 "    u = Binary kind=mul (w, half)\n"
                 "    const rows i64[1] {0}\n"
                 "    s = Reduce keepdims=0 (u, rows)\n"
                 "    output go\n    output u\n    output s\n"
                 "}\n"
                 "z = Unary kind=tanh (y)\n"
                 "output z\noutput all\n",
                 {{"n", 1, 6}},
                 {},
                 3});
  all.push_back({"scan",
                 "input start f32[b]\n"
                 "input x f32[t,b]\n"
                 "s, y = Scan states=1 scans=1 (start, x) {\n"
                 "  body\n"
                 "    input a f32[?]\n    input e f32[?]\n"
                 "    c = Binary (a, e)\n"
                 "    d = Unary kind=tanh (c)\n"
                 "    output d\n    output f = c\n"
                 "}\n"
                 "output s\noutput y\n",
                 {{"t", 1, 12}, {"b", 1, 9}},
                 {},
                 2});
  all.push_back({"if",
                 "input flag boolean[]\n"
                 "input x f32[n,w]\n"
                 "y = If (flag, x) {\n"
                 "  body\n"
                 "    input p f32[?,?]\n"
                 "    const axis i64[1] {0}\n"
                 "    a = Reduce keepdims=0 (p, axis)\n"
                 "    output a\n"
                 "  body\n"
                 "    input q f32[?,?]\n"
                 "    const flat i64[1] {-1}\n"
                 "    b = Reshape (q, flat)\n"
                 "    c = Unary kind=abs (b)\n"
                 "    output c\n"
                 "}\n"
                 "z = Unary kind=neg (y)\n"
                 "output z\n",
                 {{"n", 1, 8}, {"w", 1, 20}},
                 {},
                 4});
  all.push_back({"sequence",
                 "input x f32[n,w]\n"
                 "input y f32[m,w]\n"
                 "const two i64[] {2}\n"
                 "const zero i64[] {0}\n"
                 "a = SplitToSequence axis=0 (x, two)\n"
                 "b = SequenceInsert (a, y)\n"
                 "c = SequenceAt (b, zero)\n"
                 "d = ConcatFromSequence axis=0 (b)\n"
                 "e = Unary kind=neg (d)\n"
                 "l = SequenceLength (b)\n"
                 "output b\noutput c\noutput e\noutput l\n",
                 {{"n", 2, 8}, {"m", 1, 5}, {"w", 1, 12}},
                 {},
                 3});
  all.push_back({"quantise",
                 "input x f32[n,w]\n"
                 "const scale f32[] {0.0078125}\n"
                 "const zero u8[] {128}\n"
                 "q = QuantizeLinear to=u8 (x, scale, zero)\n"
                 "d = DequantizeLinear to=f32 (q, scale, zero)\n"
                 "c = Cast to=i32 (q)\n"
                 "h = Cast to=f16 (d)\n"
                 "f = Cast to=f32 (h)\n"
                 "output q\noutput f\noutput c\n",
                 {{"n", 1, 9}, {"w", 1, 50}}});
  all.push_back({"shapes_from_values",
                 "input shape i64[2]\n"
                 "input times i64[2]\n"
                 "input x f32[n,1]\n"
                 "input keep boolean[n]\n"
                 "const seven f32[] {7}\n"
                 "f = ConstantOfShape (shape, seven)\n"
                 "t = Tile (f, times)\n"
                 "c = Compress axis=0 flat=0 (x, keep)\n"
                 "e = Binary (c, seven)\n"
                 "output t\noutput e\n",
                 {{"n", 1, 12}},
                 {},
                 5});
  all.push_back({"detection",
                 "input boxes f32[1,n,4]\n"
                 "input scores f32[1,2,n]\n"
                 "const most i64[] {3}\n"
                 "const iou f32[] {0.5}\n"
                 "const least f32[] {0.1}\n"
                 "const column i64[] {2}\n"
                 "s = NonMaxSuppression (boxes, scores, most, iou, least)\n"
                 "i = Gather axis=1 (s, column)\n"
                 "b = Gather axis=1 (boxes, i)\n"
                 "z = Unary kind=sigmoid (b)\n"
                 "output s\noutput z\n",
                 {{"n", 1, 30}},
                 {},
                 3});
  all.push_back({"chain_of_sizes",  // each found by the one before
                 "input x f32[n]\n"
                 "const flat i64[1] {-1}\n"
                 "const low f32[] {-0.7}\n"
                 "const middle f32[] {-0.4}\n"
                 "const high f32[] {0}\n"
                 "g = Binary kind=greater (x, low)\n"
                 "a = Compress (x, g)\n"
                 "g2 = Binary kind=greater (a, middle)\n"
                 "b = Compress (a, g2)\n"
                 "g3 = Binary kind=greater (b, high)\n"
                 "c = Compress (b, g3)\n"
                 "z = Unary kind=exp (c)\n"
                 "output a\noutput b\noutput z\n",
                 {{"n", 60, 61}},
                 {},
                 4});
  return all;
}
}  // namespace stress
