// Steps of an LSTM that exporters wrote out.
#include <cmath>
#include "converter/convert.h"
#include "engine/graph_text.h"
#include "tests/engine/evaluate.h"

namespace converter::test_cells {
using namespace engine;
namespace {
constexpr int64_t inputs = 3, hidden = 4, width = 4 * hidden;

std::string constant(const std::string& name, const std::string& type, int64_t count, double seed) {
  std::string text = "const " + name + " f32[" + type + "] {";
  for (int64_t i = 0; i < count; ++i) text += cat(i ? "," : "", std::round(std::sin(seed + double(i) * 1.7) * 400) / 1000);
  return text + "}\n";
}
const std::string weights = constant("w", "3,16", inputs * width, 1) + constant("r", "4,16", hidden * width, 2) + constant("b", "16", width, 3) + constant("d", "1,16", width, 4);
const std::string sum = "m@ = MatMul (x@, w)\nn@ = MatMul (h@, r)\ns@ = Binary (m@, n@)\na@ = Binary (s@, b)\nz@ = Binary (d, a@)\n";

// The gates of z@ in this order, and the next h and c; @ is the step.
std::string gates(const std::string& order = "ifgo") {
  return cat(order[0], "@, ", order[1], "@, ", order[2], "@, ", order[3], "@ = Split axis=1 parts=4 (z@)\n") +
         "si@ = Unary kind=sigmoid (i@)\nsf@ = Unary kind=sigmoid (f@)\ntg@ = Unary kind=tanh (g@)\nso@ = Unary kind=sigmoid (o@)\n"
         "p@ = Binary kind=mul (sf@, c@)\nq@ = Binary kind=mul (si@, tg@)\nnext_c@ = Binary (p@, q@)\n"
         "tc@ = Unary kind=tanh (next_c@)\nnext_h@ = Binary kind=mul (so@, tc@)\n";
}
std::string at(std::string text, const std::string& step) {
  for (size_t k = text.find('@'); k != std::string::npos; k = text.find('@', k)) text.replace(k, 1, step);
  return text;
}
std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t k = text.find(what);
  EXPECT_NE(k, std::string::npos) << what;
  return text.replace(k, what.size(), by);
}

std::vector<double> results(const Graph& graph) {
  std::vector<Object> values;
  for (ValueId v : graph.inputs) {
    const View view = values.emplace_back().set_tensor(DType::f32, graph[v].type.shape());
    for (int64_t i = 0; i < view.elements(); ++i) store(view, i, std::sin(double(i) * 0.7 + double(values.size())));
  }
  std::vector<ConstView> views;
  for (const Object& o : values) views.push_back(o.view());
  std::vector<double> all;
  for (const Object& o : engine::test::evaluate(graph, views))
    for (int64_t i = 0; i < elements(o.shape); ++i) all.push_back(load<double>(o.view(), i));
  return all;
}

// How many nodes of an op are left, after the results were compared.
struct Left {
  int64_t rnn = 0, loop = 0, tanh = 0;
  bool operator==(const Left&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Left& l) { return out << l.rnn << " Rnn, " << l.loop << " Loop, " << l.tanh << " tanh"; }
Left fused(const std::string& text) {
  Graph graph = parse_graph(text);
  const auto before = results(graph);
  const bool changed = fuse_cells(graph);
  eliminate_dead(graph);
  verify(graph);
  const auto after = results(graph);
  EXPECT_EQ(before.size(), after.size());
  for (size_t i = 0; i < std::min(before.size(), after.size()); ++i) EXPECT_NEAR(before[i], after[i], 2e-6) << i << " of\n" << text;
  Left left;
  const auto count = [&](const auto& self, const Graph& g) -> void {
    for (const Node& node : g.nodes) {
      left.rnn += node.op.id() == OpId::Rnn, left.loop += node.op.id() == OpId::Loop;
      const auto* unary = node.op.get_if<schema::Unary>();
      left.tanh += unary && unary->kind == schema::UnaryKind::tanh;
      for (const auto& body : node.bodies) self(self, *body);
    }
  };
  count(count, graph);
  EXPECT_EQ(changed, left.rnn > 0);
  return left;
}

const std::string head = "input x f32[2,3]\ninput h f32[2,4]\ninput c f32[2,4]\n" + weights, tail = "output next_h\noutput next_c\n";
Left one(const std::string& nodes) { return fused(head + at(nodes, "") + tail); }

TEST(FuseCells, EveryFormOfAStep) {
  const Left cell{1, 0, 0};
  for (const char* order : {"ifgo", "iofg", "figo", "gofi"}) EXPECT_EQ(one(sum + gates(order)), cell) << order;
  EXPECT_EQ(one("m@ = MatMul (x@, w)\nn@ = MatMul (h@, r)\nz@ = Binary (n@, m@)\n" + gates()), cell);                              // no bias
  EXPECT_EQ(one(constant("wt", "16,3", inputs * width, 5) + constant("rt", "16,4", hidden * width, 6) +
                "m@ = MatMul trans_b=1 (x@, wt)\nn@ = MatMul trans_b=1 (h@, rt)\na@ = Binary (m@, b)\ne@ = Binary (n@, d)\nz@ = Binary (a@, e@)\n" + gates()), cell);
  EXPECT_EQ(one(constant("wr", "7,16", (inputs + hidden) * width, 7) + "xh@ = Concat axis=1 (x@, h@)\nm@ = MatMul (xh@, wr)\nz@ = Binary (m@, b)\n" + gates()), cell);
  EXPECT_EQ(one(constant("wr", "16,7", (inputs + hidden) * width, 7) + "hx@ = Concat axis=1 (h@, x@)\nz@ = MatMul trans_b=1 (hx@, wr)\n" + gates()), cell);
  EXPECT_EQ(one(replaced(sum + gates(), "p@ = Binary kind=mul (sf@, c@)", "p@ = Binary kind=mul (c@, sf@)")), cell);
  EXPECT_EQ(one(replaced(sum + gates(), "next_h@ = Binary kind=mul (so@, tc@)", "next_h@ = Binary kind=mul (tc@, so@)")), cell);
  EXPECT_EQ(one(replaced(sum + gates(), "next_c@ = Binary (p@, q@)", "next_c@ = Binary (q@, p@)")), cell);
  const std::string slices = "const s0 i64[1] {0}\nconst s1 i64[1] {4}\nconst s2 i64[1] {8}\nconst s3 i64[1] {12}\nconst s4 i64[1] {16}\nconst axis i64[1] {1}\n"
                             "i@ = Slice (z@, s0, s1, axis)\nf@ = Slice (z@, s1, s2, axis)\ng@ = Slice (z@, s2, s3, axis)\no@ = Slice (z@, s3, s4, axis)\n";
  EXPECT_EQ(one(replaced(sum + gates(), "i@, f@, g@, o@ = Split axis=1 parts=4 (z@)\n", slices)), cell);
  // x may be as wide as h
  EXPECT_EQ(fused("input y f32[2,4]\n" + head + constant("v", "4,16", hidden * width, 8) + replaced(at(sum, ""), "MatMul (x, w)", "MatMul (y, v)") + at(gates(), "") + tail), cell);
}

TEST(FuseCells, NotWhatOnlyLooksLikeOne) {
  const std::string cell = sum + gates();
  for (const auto& [what, by] : {std::pair("tg@ = Unary kind=tanh", "tg@ = Unary kind=relu"), std::pair("so@ = Unary kind=sigmoid (o@)", "so@ = Unary kind=sigmoid (f@)"),
                                 std::pair("z@ = Binary (d, a@)", "z@ = Binary kind=sub (d, a@)"), std::pair("n@ = MatMul (h@, r)", "n@ = MatMul (x@, w)"),
                                 std::pair("p@ = Binary kind=mul (sf@, c@)", "p@ = Binary kind=mul (sf@, o@)\nunused = Binary (c@, c@)")}) {
    const Left left = one(replaced(cell, what, by));
    if (std::string_view(by).starts_with("p@")) EXPECT_EQ(left.rnn, 1) << "any c will do: " << by;
    else EXPECT_EQ(left.rnn, 0) << by;
  }
  // a peephole
  EXPECT_EQ(one(constant("k", "4", hidden, 9) + replaced(cell, "si@ = Unary kind=sigmoid (i@)", "kc@ = Binary kind=mul (k, c@)\nki@ = Binary (i@, kc@)\nsi@ = Unary kind=sigmoid (ki@)")).rnn, 0);
}

// Extents that only a run knows may not fit what is there.
TEST(FuseCells, WeightsOfFewerRowsThanTheState) {
  Graph graph = parse_graph("input u f32[2,n]\n" + head + constant("wr", "3,16", 3 * width, 7) + at("hu@ = Concat axis=1 (h@, u)\nz@ = MatMul (hu@, wr)\n" + gates(), "") + tail);
  EXPECT_FALSE(fuse_cells(graph));
}

// Three steps over a sequence, each from what the one before made.
std::string steps(const std::string& more = "") {
  std::string text = "input xs f32[3,2,3]\ninput h0 f32[2,4]\ninput c0 f32[2,4]\n" + weights;
  for (int t = 0; t < 3; ++t) {
    std::string step = "const t@ i64[] {@}\nx@ = Gather axis=0 (xs, t@)\n" + sum + gates();
    if (t > 0) step = replaced(replaced(step, "(h@, r)", cat("(next_h", t - 1, ", r)")), "(sf@, c@)", cat("(sf@, next_c", t - 1, ")"));
    text += at(step, std::to_string(t));
  }
  return text + "y = Concat axis=1 (next_h0, next_h1, next_h2)\noutput y\noutput next_h2\noutput next_c2\n" + more;
}

TEST(FuseCells, AChainOfStepsIsOneOp) {
  EXPECT_EQ(fused(steps()), (Left{1, 0, 0}));
  EXPECT_EQ(fused(steps("output next_c1\n")), (Left{3, 0, 0}));                                                   // the op gives the last c only
  EXPECT_EQ(fused(replaced(steps(), "MatMul (next_h1, r)", "MatMul (h0, r)")), (Left{2, 0, 0}));                    // another state than the last
  EXPECT_EQ(fused(constant("v", "4,16", hidden * width, 8) + replaced(steps(), "MatMul (next_h1, r)", "MatMul (next_h1, v)")), (Left{2, 0, 0}));  // other weights
  const std::string fed = replaced(steps(), "x2 = Gather axis=0 (xs, t2)\n", "const begin i64[1] {0}\nconst end i64[1] {3}\nconst axis i64[1] {1}\nx2 = Slice (next_h1, begin, end, axis)\n");
  EXPECT_EQ(fused(fed), (Left{3, 0, 0}));                                                                           // a decoder, fed by itself
}

std::string loop(const std::string& trips, const std::string& results_of_body = "output go\noutput next_h\noutput next_c\noutput next_h\n", const std::string& states = "h c") {
  const bool swapped = states == "c h";
  return "input xs f32[3,2,3]\ninput h0 f32[2,4]\ninput c0 f32[2,4]\nconst yes boolean[] {1}\nconst zero i64[] {0}\n" + trips +
         "a, e, ys = Loop carried=2 (n, yes, " + (swapped ? "c0, h0" : "h0, c0") + ", xs) {\n  body\n    input iteration i64[]\n    input again boolean[]\n    input " +
         (swapped ? "c f32[2,4]\n    input h" : "h f32[2,4]\n    input c") + " f32[2,4]\n    input seq f32[3,2,3]\n" + weights +
         "const go boolean[] {1}\nx = Gather axis=0 (seq, iteration)\n" + at(sum + gates(), "") + results_of_body + "}\noutput a\noutput e\noutput ys\n";
}

TEST(FuseCells, ALoopOverASequence) {
  const std::string extent = "shape = Shape (xs)\nn = Gather axis=0 (shape, zero)\n";
  EXPECT_EQ(fused(loop(extent)), (Left{1, 0, 0}));
  EXPECT_EQ(fused(loop("const n i64[] {3}\n")), (Left{1, 0, 0}));
  EXPECT_EQ(fused(loop(extent, "output again\noutput next_h\noutput next_c\noutput next_h\n")), (Left{1, 0, 0}));
  EXPECT_EQ(fused(loop(extent, "output go\noutput next_c\noutput next_h\noutput next_h\n", "c h")), (Left{1, 0, 0}));
  // Steps of their own: part of the sequence, or something else is collected.
  EXPECT_EQ(fused(loop("const n i64[] {2}\n")), (Left{1, 1, 0}));
  EXPECT_EQ(fused(loop(extent, "output go\noutput next_h\noutput next_c\noutput next_c\n")), (Left{1, 1, 0}));
  EXPECT_EQ(fused(loop("shape = Shape (h0)\nn = Gather axis=0 (shape, zero)\n")), (Left{1, 1, 0}));
}
}  // namespace
}  // namespace converter::test_cells
