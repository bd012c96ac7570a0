// Passes: graph text in, graph text out, and equal results.
#include <gtest/gtest.h>
#include "engine/graph_text.h"
#include "engine/passes/passes.h"
#include "engine/passes/target.h"
#include "engine/shape.h"
#include "tests/engine/evaluate.h"

namespace engine {
namespace {
std::string bare(const Graph& graph) {
  std::string out;
  std::istringstream lines(to_text(graph));
  for (std::string line; std::getline(lines, line);) out += line.substr(0, line.find("  # ")) + '\n';
  return out;
}
std::vector<double> results(const Graph& graph) {
  std::vector<Object> inputs;
  for (ValueId v : graph.inputs) {
    Shape shape;
    for (const Dim& d : graph[v].type.dims) shape.push_back(d.known() ? d.value() : 2);
    const View view = inputs.emplace_back().set_tensor(graph[v].type.dtype, shape);
    for (int64_t i = 0; i < view.elements(); ++i) store(view, i, double(i % 7) - 1.5);
  }
  std::vector<ConstView> views;
  for (const Object& o : inputs) views.push_back(o.view());
  std::vector<double> all;
  for (const Object& o : test::evaluate(graph, views))
    for (int64_t i = 0; i < elements(o.shape); ++i) all.push_back(load<double>(o.view(), i));
  return all;
}
// Runs the pass and the pass that drops what is left over.
std::string after(bool (*pass)(Graph&), std::string_view text, bool changes = true) {
  Graph graph = parse_graph(text);
  verify(graph);
  const auto before = results(graph);
  EXPECT_EQ(pass(graph), changes);
  eliminate_dead(graph);
  verify(graph);
  EXPECT_EQ(results(graph), before);
  return bare(graph);
}

TEST(GraphText, ReadsWhatItWrites) {
  const std::string text =
      "input x f32[2,N,past:0..2048,?]\n"
      "input s seq(i64[...])\n"
      "input c boolean[]\n"
      "const w f32[3] {1.5,-inf,0.1}\n"
      "const t string[2] {\"a # b\",\"\\\"q\\\"\\n\"}\n"
      "y = Unary kind=clip a=-1 b=6 (x)  # f32[2,N,past:0..2048,?] from clip1 (Clip); clip2 (Clip)\n"
      "l = SequenceLength (s)  # i64[] from l (SequenceLength)\n"
      "z = If (c, y) {  # f32[...] from if1 (If)\n"
      "  body\n"
      "    input y f32[...]\n"
      "    output y\n"
      "  body\n"
      "    input y f32[...]\n"
      "    n = Unary kind=neg (y)  # f32[...] from neg (Neg)\n"
      "    output n\n"
      "}\n"
      "output y\n"
      "output \"the length\" = l\n"
      "output w\n"
      "output t\n"
      "output z\n"
      "state 0 0\n";
  const Graph graph = parse_graph(text);
  // Constants stand where they are first read.
  EXPECT_EQ(to_text(parse_graph(to_text(graph))), to_text(graph));
  EXPECT_NE(to_text(graph).find("past:0..2048"), std::string::npos);
  EXPECT_NE(to_text(graph).find("from clip1 (Clip); clip2 (Clip)\n"), std::string::npos);
  EXPECT_NE(to_text(graph).find("const t string[2] {\"a # b\",\"\\\"q\\\"\\n\"}\n"), std::string::npos);
  EXPECT_NE(to_text(graph).find("output \"the length\" = l\n"), std::string::npos);
  EXPECT_EQ(graph.nodes[0].origins, (Origins{"clip1 (Clip)", "clip2 (Clip)"}));
  EXPECT_EQ(graph.states.size(), 1u);
}

TEST(GraphText, NamesTheLineThatIsWrong) {
  const auto message = [](std::string_view text) -> std::string {
    try {
      parse_graph(text);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message("input x f32[2]\ny = Nothing (x)\n").find("line 2: unknown op 'Nothing'"), std::string::npos);
  EXPECT_NE(message("input x f32[2]\n\ny = Unary kind=relux (x)\n").find("line 3: unknown name 'relux'"),
            std::string::npos);
  EXPECT_NE(message("input x f32[2]\ny = Unary colour=1 (x)\n").find("unknown field 'colour'"), std::string::npos);
  EXPECT_NE(message("y = Unary (x)\n").find("'x' is not defined"), std::string::npos);
  EXPECT_NE(message("const w f32[100] {…}\n").find("abbreviated"), std::string::npos);
  EXPECT_NE(message("input x f32[2]\ny = If (x) {\n  body\n").find("'}' is missing"), std::string::npos);
}

TEST(GraphText, OpsByTheirFields) {
  const Op conv = schema::Conv{{2, 2}, {}, {0, 1, 0, 1}, 4, schema::AutoPad::none};
  EXPECT_EQ(to_text(conv), "Conv stride=2,2 pad=0,1,0,1 groups=4");
  EXPECT_EQ(parse_op(to_text(conv)), conv);
  schema::Rnn rnn;
  rnn.activations = {"Tanh", "a b"};
  rnn.alpha = {0.5, 1e-30};
  EXPECT_EQ(to_text(Op(rnn)), "Rnn activations=\"Tanh\",\"a b\" alpha=0.5,1e-30");
  EXPECT_EQ(parse_op(to_text(Op(rnn))), Op(rnn));
}

TEST(Passes, FoldConstants) {
  EXPECT_EQ(after(fold_constants,
                  "input x f32[2,3]\nconst a f32[3] {1,2,3}\nb = Unary kind=neg (a)\nc = Binary kind=mul (b, b)\ny = "
                  "Binary (x, c)\noutput y\n"),
            "input x f32[2,3]\nconst c f32[3] {1,4,9}\ny = Binary (x, c)\noutput y\n");
  // What inference knows is folded, also where an input is not constant.
  EXPECT_EQ(
      after(fold_constants,
            "input x f32[2,3]\nconst one f32[] {1}\ns = Shape start=1 (x)\ny = ConstantOfShape (s, one)\noutput y\n"),
      "input x f32[2,3]\nconst y f32[3] {1,1,1}\noutput y\n");
  after(fold_constants, "input x f32[N]\ns = Shape (x)\noutput s\n", false);
}

TEST(Passes, FoldingSaysMoreAboutSizes) {
  const auto twice = [](Graph& graph) { return fold_constants(graph) && fold_constants(graph); };
  EXPECT_EQ(after(twice,
                  "input x f32[4]\nconst c boolean[] {1}\nconst a i64[1] {2}\nconst b i64[1] {3}\ns = Where (c, a, b)\n"
                  "const from i64[1] {0}\nh = Slice (x, from, s)\ny = Shape (h)\noutput y\n"),
            "input x f32[4]\nconst y i64[1] {2}\noutput y\n");
}

TEST(Passes, FoldingDoesNotBlowUp) {
  after(fold_constants,
        "input x f32[1]\nconst shape i64[2] {1024,1024}\nconst v f32[] {0}\nz = ConstantOfShape (shape, v)\ny = Binary "
        "(z, x)\noutput y\n",
        false);
}

TEST(Passes, EliminateCommon) {
  EXPECT_EQ(after(eliminate_common,
                  "input x f32[2]\nconst a f32[] {2}\nconst b f32[] {2}\np = Binary kind=mul (x, a)\nq = Binary "
                  "kind=mul (x, b)\n"
                  "r = Binary kind=mul (b, x)\ny = Binary kind=sub (p, q)\nz = Unary kind=neg (r)\noutput y\noutput "
                  "z\noutput q\n"),
            "input x f32[2]\nconst a f32[] {2}\np = Binary kind=mul (x, a)\nr = Binary kind=mul (a, x)\ny = Binary "
            "kind=sub (p, p)\n"
            "z = Unary kind=neg (r)\noutput y\noutput z\noutput q = p\n");
  // Another field, another dtype, another number of outputs.
  after(
      eliminate_common,
      "input x f32[2]\np = Unary kind=clip b=1 (x)\nq = Unary kind=clip b=2 (x)\nconst a f32[] {0}\nconst b i32[] {0}\n"
      "r = Binary (x, a)\ns = Cast to=i32 (x)\nt = Binary (s, b)\noutput p\noutput q\noutput r\noutput t\n",
      false);
}

TEST(Passes, FoldPads) {
  const std::string x = "input x f32[1,2,4,5]\nconst w f32[2,2,1,2] {1,2,3,4,5,6,7,8}\n";
  EXPECT_EQ(after(fold_pads, x + "const p i64[8] {0,0,1,2,0,0,3,0}\nv = Pad (x, p)\ny = Conv stride=2,1 (v, w)\noutput y\n"),
            x + "y = Conv stride=2,1 pad=1,2,3,0 (x, w)\noutput y\n");
  // Onto padding that is there, through axes, and twice.
  EXPECT_EQ(after(fold_pads, x + "const p i64[2] {4,5}\nconst zero f32[] {0}\nconst a i64[1] {-1}\nv = Pad (x, p, zero, a)\n"
                             "y = Conv pad=0,1,2,3 (v, w)\nz = Conv auto_pad=valid (v, w)\noutput y\noutput z\n"),
            x + "y = Conv pad=0,5,2,8 (x, w)\nz = Conv pad=0,4,0,5 (x, w)\noutput y\noutput z\n");
  const auto twice = [](Graph& graph) { return fold_pads(graph) && fold_pads(graph); };
  EXPECT_EQ(after(twice, x + "const p i64[8] {0,0,1,0,0,0,0,0}\nu = Pad (x, p)\nv = Pad (u, p)\ny = Conv (v, w)\noutput y\n"),
            x + "y = Conv pad=2,0,0,0 (x, w)\noutput y\n");
}

TEST(Passes, FoldPadsOnlyZerosThatNobodyElseReads) {
  const auto stays = [](const std::string& pad, const std::string& rest) {
    after(fold_pads, "input x f32[1,2,4,5]\nconst w f32[2,2,1,2] {1,2,3,4,5,6,7,8}\n" + pad + rest + "output y\n", false);
  };
  const std::string p = "const p i64[8] {0,0,1,2,0,0,3,0}\n", y = "y = Conv (v, w)\n";
  stays(p + "const one f32[] {1}\nv = Pad (x, p, one)\n", y);
  stays(p + "v = Pad mode=edge (x, p)\n", y);
  stays(p + "v = Pad (x, p)\n", y + "output v\n");
  stays(p + "v = Pad (x, p)\n", y + "z = Unary (v)\noutput z\n");
  stays(p + "v = Pad (x, p)\n", "y = Conv auto_pad=same_upper (v, w)\n");
  stays("const p i64[8] {0,0,-1,2,0,0,3,0}\nv = Pad (x, p)\n", y);
  stays("const p i64[8] {1,0,0,2,0,0,3,0}\nv = Pad (x, p)\n", y);
}

TEST(Passes, SelectionsAreBoundedAndCut) {
  const std::string in = "input b f32[1,6,4]\ninput s f32[1,2,6]\n", limit = "const t f32[1] {0.5}\n";
  const auto bounded = [&](const std::string& most, const std::string& attributes) {
    const std::string text = after(bound_selections, in + most + limit + "y = NonMaxSuppression center_point_box=1 (b, s, m, t)\noutput y\n");
    EXPECT_NE(text.find("= BoundedNonMaxSuppression center_point_box=1" + attributes + " (b, s, m, t)\n"), std::string::npos) << text;
    EXPECT_NE(text.find("y = Slice ("), std::string::npos) << text;
  };
  bounded("const m i64[1] {4}\n", " most=4");
  bounded("const m i64[1] {9}\n", " most=6");
  bounded("const m i64[1] {-1}\n", "");
  bounded("input m i64[1]\n", " most=6");
  // Without a number none is found; of unknown extents nothing is said.
  EXPECT_NE(after(bound_selections, in + "y = NonMaxSuppression (b, s)\noutput y\n").find("= BoundedNonMaxSuppression (b, s)\n"), std::string::npos);
  after(bound_selections, "input b f32[1,N,4]\ninput s f32[1,2,N]\ny = NonMaxSuppression (b, s)\noutput y\n", false);
}

TEST(Passes, MergedNodesKeepTheirOrigins) {
  Graph graph = parse_graph("input x f32[2]\np = Unary (x)\nq = Unary (x)\ny = Binary (p, q)\noutput y\n");
  EXPECT_TRUE(eliminate_common(graph));
  EXPECT_EQ(graph.nodes[0].origins, (Origins{"p (Unary)", "q (Unary)"}));
}

TEST(Passes, EliminateDead) {
  Graph graph = parse_graph(
      "input x f32[2]\ninput unused f32[2]\nconst w f32[2] {1,2}\nd = Binary (x, w)\ne = Unary (d)\na, b = Split "
      "parts=2 (x)\noutput b\nstate 1 0\n");
  const auto before = results(graph);
  EXPECT_TRUE(eliminate_dead(graph));
  verify(graph);
  EXPECT_EQ(results(graph), before);
  EXPECT_EQ(bare(graph), "input x f32[2]\ninput unused f32[2]\na, b = Split parts=2 (x)\noutput b\nstate 1 0\n");
  for (const Value& v : graph.values) EXPECT_FALSE(v.constant);
  EXPECT_FALSE(eliminate_dead(graph));
}

TEST(Passes, Canonicalise) {
  EXPECT_EQ(after(canonicalise, "input x f32[2]\na = Identity (x)\nb = Unary (a)\nc = Unary (b)\noutput c\n"),
            "input x f32[2]\nb = Unary (x)\noutput c = b\n");
  EXPECT_EQ(after(canonicalise,
                  "input x f32[2]\nconst c boolean[] {0}\ny = If (c, x) {\n  body\n    input t f32[2]\n    a = Unary "
                  "(t)\n    output a\n"
                  "  body\n    input t f32[2]\n    b = Unary kind=neg (t)\n    output b\n}\noutput y\n"),
            "input x f32[2]\nb = Unary kind=neg (x)\noutput y = b\n");
}

constexpr char with_body[] =
    "input x f32[2]\nconst n i64[] {3}\ny = Loop carried=1 (n, _, x) {\n  body\n    input i i64[]\n    input go "
    "boolean[]\n    input v f32[2]\n"
    "    const one f32[] {1}\n    two = Binary (one, one)\n    also = Binary (one, one)\n    a = Binary (v, two)\n    "
    "b = Binary (v, also)\n"
    "    w = Binary kind=mul (a, b)\n    output go\n    output w\n}\noutput y\n";

TEST(Passes, TransposesJoinAcrossAReshape) {
  const auto joined = [](const std::string& x, const std::string& first, const std::string& shape, const std::string& second) {
    const size_t rank = size_t(std::ranges::count(shape, ',')) + 1;
    return after(canonicalise, "input x f32[" + x + "]\nconst s i64[" + std::to_string(rank) + "] {" + shape + "}\nt = Transpose perm=" + first +
                                   " (x)\nr = Reshape (t, s)\ny = Transpose perm=" + second + " (r)\noutput y\n");
  };
  // The head of a detector: channels last, then anchors and their values apart, and the places of the image joined.
  EXPECT_NE(joined("1,4,5,6", "0,3,1,2", "1,3,2,20", "0,1,3,2").find("i64[4] {1,20,3,2}\nv2 = Reshape allow_zero=1 (x, v1)\nv3 = Transpose perm=0,2,1,3 (v2)"),
            std::string::npos);
  // What moves nothing in the end goes.
  EXPECT_EQ(joined("2,3,4", "2,0,1", "2,2,6", "2,0,1").find("Transpose"), std::string::npos);
  EXPECT_NE(joined("1,2,3,1", "3,1,0,2", "2,1,3", "2,1,0").find("i64[3] {1,2,3}\nv2 = Reshape allow_zero=1 (x, v1)\nv3 = Transpose perm=2,0,1 (v2)"), std::string::npos);
  // Dims of which the reshape makes one, and which are apart in x.
  const std::string apart = "input x f32[2,3,4]\nconst s i64[2] {8,3}\nt = Transpose perm=0,2,1 (x)\nr = Reshape (t, s)\ny = Transpose perm=1,0 (r)\noutput y\n";
  after(canonicalise, apart, false);
}

TEST(Passes, ATransposedConvolutionWithoutStridesIsAConvolution) {
  const std::string x = "input x f32[1,2,4,3]\nconst w f32[2,1,2,3] {1,2,3,4,5,6,7,8,9,10,11,12}\n", end = "output y\n";
  const auto expect = [&](const std::string& fields, const std::string& conv) {
    const std::string text = after(canonicalise, x + "y = ConvTranspose" + fields + " (x, w)\n" + end);
    EXPECT_NE(text.find("f32[1,2,2,3] {6,5,4,3,2,1,12,11,10,9,8,7}"), std::string::npos) << text;
    EXPECT_NE(text.find("= Conv" + conv + " ("), std::string::npos) << text;
  };
  expect("", " pad=1,2,1,2");
  expect(" pad=0,1,1,2", " pad=1,1,0,0");
  expect(" dilation=2,1 pad=0,0,1,1", " dilation=2,1 pad=2,2,1,1");
  expect(" auto_pad=same_upper", " pad=1,1,0,1");
  expect(" output_shape=4,4", " pad=0,1,1,2");
  // In groups, each of which keeps its channels.
  const std::string groups = after(canonicalise, x + "y = ConvTranspose groups=2 (x, w)\n" + end);
  EXPECT_NE(groups.find("f32[2,1,2,3] {6,5,4,3,2,1,12,11,10,9,8,7}"), std::string::npos) << groups;
  // Strides, or more cut off than the kernel reaches over.
  after(canonicalise, x + "y = ConvTranspose stride=1,2 (x, w)\n" + end, false);
  after(canonicalise, x + "y = ConvTranspose pad=2,0,0,0 (x, w)\n" + end, false);
}

TEST(Passes, GoIntoBodies) {
  Graph graph = parse_graph(with_body);
  const auto before = results(graph);
  const auto runs = run_passes(graph, general_passes(), {.disable = {}, .dump_after = {}, .dump = {}, .verify = true});
  EXPECT_EQ(results(graph), before);
  EXPECT_EQ(bare(graph),
            "input x f32[2]\nconst n i64[] {3}\ny = Loop carried=1 (n, _, x) {\n  body\n    input i i64[]\n    input "
            "go boolean[]\n    input v f32[2]\n"
            "    const two f32[] {2}\n    a = Binary (v, two)\n    w = Binary kind=mul (a, a)\n    output go\n    "
            "output w\n}\noutput y\n");
  EXPECT_NE(to_text(std::span<const PassRun>(runs)).find("fold_constants"), std::string::npos);
  for (const Pass& pass : general_passes()) EXPECT_FALSE(pass.function(graph)) << pass.name << " finds something left";
}

TEST(Passes, TheRunnerCanBisect) {
  const auto run = [](const PassOptions& options) {
    Graph graph = parse_graph(with_body);
    const auto runs = run_passes(graph, general_passes(), options);
    return std::ranges::count(runs, true, &PassRun::changed);
  };
  PassOptions options;
  const auto all = run(options);
  EXPECT_GE(all, 3);
  options.stop_after = 1;
  EXPECT_EQ(run(options), 1);
  options.stop_after = 0;
  EXPECT_EQ(run(options), 0);
  options = {};
  for (const Pass& pass : general_passes()) options.disable.emplace_back(pass.name);
  EXPECT_EQ(run(options), 0);
  options = {};
  int dumps = 0;
  options.dump = [&](std::string_view name, const Graph&) { dumps += name == "eliminate_dead"; };
  options.dump_after = "eliminate_dead";
  run(options);
  EXPECT_GE(dumps, 1);
  options.dump_after = "no_such_pass";
  EXPECT_THROW(run(options), Error);
}

bool break_it(Graph& graph) {
  graph.nodes[0].inputs[0] = graph.nodes[0].outputs[0];
  return true;
}
TEST(Passes, ABrokenGraphIsFoundAtOnce) {
  Graph graph = parse_graph("input x f32[2]\ny = Unary (x)\noutput y\n");
  const Pass pass{"break_it", break_it, 0};
  try {
    run_passes(graph, std::span(&pass, 1), {.disable = {}, .dump_after = {}, .dump = {}, .verify = true});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).rfind("after pass break_it: ", 0), 0u) << e.what();
  }
}

// Uses follow a chain of replacements, by nodes and outputs that were there before and come after.
TEST(Rewriter, FollowsReplacements) {
  Graph graph = parse_graph(
      "input x f32[2]\n"
      "a = Unary kind=neg (x)\n"
      "b = Binary kind=add (a, a)\n"
      "c = Binary kind=mul (b, a)\n"
      "output c\n"
      "output a\n");
  Rewriter rewriter(graph);
  const ValueId x = graph.inputs[0], a = graph.nodes[0].outputs[0], b = graph.nodes[1].outputs[0];
  const ValueId first = rewriter.add(schema::Unary{schema::UnaryKind::abs}, {x}, {"first"})[0];
  rewriter.replace(a, first);
  EXPECT_EQ(graph.nodes[1].inputs, (ValueIds{first, first}));
  const ValueId second = rewriter.add(schema::Unary{schema::UnaryKind::exp}, {x}, {"second"})[0];
  rewriter.replace(first, second);
  const ValueId late = rewriter.add(schema::Unary{schema::UnaryKind::sqrt}, {a}, {"late"})[0];
  EXPECT_EQ(graph[graph[late].producer].inputs, (ValueIds{second}));
  rewriter.replace(b, a);  // by what stands for it
  EXPECT_EQ(graph.nodes[2].inputs, (ValueIds{second, second}));
  EXPECT_TRUE(rewriter.commit());
  verify(graph);
  EXPECT_EQ(bare(graph),
            "input x f32[2]\n"
            "v5 = Unary kind=exp (x)\n"
            "c = Binary kind=mul (v5, v5)\n"
            "output c\n"
            "output a = v5\n");
  // Anew after a commit.
  const ValueId again = rewriter.add(schema::Unary{schema::UnaryKind::tanh}, {x}, {"again"})[0];
  rewriter.replace(graph.nodes[0].outputs[0], again);
  EXPECT_EQ(graph[graph.outputs[1].value].producer, graph[again].producer);
  EXPECT_TRUE(rewriter.commit());
  verify(graph);
}

// A graph whose types are known is its own head; what would be folded, inlined or dropped is all the same.
TEST(Specialise, OfKnownTypes) {
  const auto head = [](std::string_view text) {
    const Graph graph = parse_graph(text);
    const Specialised parts = specialise(graph, input_types(graph));
    EXPECT_TRUE(parts.tail.nodes.empty());
    EXPECT_EQ(parts.outputs.size(), graph.outputs.size());
    verify(parts.head);
    return bare(parts.head);
  };
  const std::string_view settled =
      "input x f32[2,3]\n"
      "const w f32[3] {1,2,3}\n"
      "y = Binary (x, w)\n"
      "z = Unary kind=neg (y)\n"
      "output z\n"
      "output x\n";
  EXPECT_EQ(head(settled), settled);
  EXPECT_EQ(head("input x f32[2,3]\n"
                 "const w f32[3] {1,2,3}\n"
                 "i = Identity (x)\n"
                 "v = Unary kind=neg (w)\n"
                 "dead = Unary kind=exp (x)\n"
                 "s = Shape (x)\n"
                 "y = Binary (i, v)\n"
                 "output y\n"
                 "output s\n"),
            "input x f32[2,3]\n"
            "const v f32[3] {-1,-2,-3}\n"
            "y = Binary (x, v)\n"
            "const s i64[2] {2,3}\n"
            "output y\n"
            "output s\n");
}
}  // namespace
}  // namespace engine
