// Small models as files in memory, for the tests of the public interface. They are made by the engine's own code, of
// which this executable has a copy beside the library that it tests.
#pragma once
#include <filesystem>
#include <fstream>
#include "engine/model_file.h"
#include "tests/engine/graphs.h"

namespace test {
using namespace engine;
using engine::test::f32_type, engine::test::unary, engine::test::binary, engine::test::UnaryKind, engine::test::BinaryKind;

// A temporary path, removed at the end.
class TempFile {
 public:
  explicit TempFile(const std::string& name)
      : path_((std::filesystem::temp_directory_path() / cat("inlay_", ::getpid(), "_", name)).string()) {}
  ~TempFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string bytes_of_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// y = x + a weight of threes, for x f32[n,1000]: enough of them to lie in the weights section.
inline Graph one_weight() {
  Graph g;
  const ValueId x = g.add_input("x", f32_type({Dim::symbol("n"), 1000}));
  Rewriter r(g);
  g.outputs = {{"y", binary(r, BinaryKind::add, x, g.add_constant(engine::test::f32({1000}, std::vector<double>(1000, 3))))}};
  return g;
}

// y = -x and s = x + x, for x f32[n,3].
inline Graph two_outputs() {
  Graph g;
  const ValueId x = g.add_input("x", f32_type({Dim::symbol("n"), 3}));
  Rewriter r(g);
  g.outputs = {{"y", unary(r, UnaryKind::neg, x)}, {"s", binary(r, BinaryKind::add, x, x)}};
  return g;
}

// sum = past + x, fed back.
inline Graph accumulator() {
  Graph g;
  const ValueId past = g.add_input("past", f32_type({2})), x = g.add_input("x", f32_type({2}));
  Rewriter r(g);
  g.outputs = {{"sum", binary(r, BinaryKind::add, past, x)}};
  return g;
}

// Counts up for as many trips as the input says.
inline Graph counter() {
  auto body = std::make_shared<Graph>();
  body->add_input("iteration", Type::scalar(DType::i64));
  const ValueId go = body->add_input("go", Type::scalar(DType::boolean)), state = body->add_input("state", f32_type({2}));
  Rewriter b(*body);
  const ValueId one = body->add_constant(make_scalar(DType::f32, 1.0));
  body->outputs = {{"go", b.add(schema::Identity{}, {go}, {"go"})[0]}, {"state", binary(b, BinaryKind::add, state, one)}};
  Graph g;
  const ValueId trips = g.add_input("trips", Type::scalar(DType::i64)), start = g.add_input("start", f32_type({2}));
  Rewriter r(g);
  g.outputs = {{"last", r.add(schema::Loop{1}, {trips, ValueId::none, start}, {"repeat (Loop)"}, 1, {body})[0]}};
  return g;
}

// y = -(flag ? x·2·10 : those of x·2 that are above zero), for x f32[n]: all by ops of the app, two of them in the bodies of an If.
inline Graph custom_ops_in_if() {
  const auto custom = [](const char* name, schema::Attributes attributes) {
    return schema::Custom{"app", name, 1, std::move(attributes), {DType::f32}, 0};
  };
  const auto branch = [](schema::Custom op, const char* origin) {
    auto body = std::make_shared<Graph>();
    const ValueId v = body->add_input("v", Type::unranked(DType::f32));
    Rewriter r(*body);
    body->outputs = {{"w", r.add(std::move(op), {v}, {origin})[0]}};
    return body;
  };
  Graph g;
  const ValueId x = g.add_input("x", f32_type({Dim::symbol("n")})), flag = g.add_input("flag", Type::scalar(DType::boolean));
  Rewriter r(g);
  const ValueId twice = r.add(custom("Scale", {{"by", 2.0}}), {x}, {"twice (Scale)"})[0];
  const ValueId chosen = r.add(schema::If{}, {flag, twice}, {"choose (If)"}, 1,
                               {branch(custom("Scale", {{"by", 10.0}}), "ten (Scale)"), branch(custom("Positive", {}), "above (Positive)")})[0];
  g.outputs = {{"y", unary(r, UnaryKind::neg, chosen)}};
  return g;
}

// Joins two string tensors, and puts two tensors into a sequence.
inline Graph strings_and_sequence() {
  Graph g;
  const ValueId a = g.add_input("a", Type::tensor(DType::string, Dims{2})), b = g.add_input("b", Type::tensor(DType::string, Dims{2})),
                x = g.add_input("x", f32_type({2})), list = g.add_input("list", Type::sequence(Type::unranked(DType::f32)));
  Rewriter r(g);
  g.outputs = {{"joined", r.add(schema::StringConcat{}, {a, b}, {"join"})[0]},
               {"longer", r.add(schema::SequenceInsert{}, {list, x}, {"insert"})[0]},
               {"length", r.add(schema::SequenceLength{}, {list}, {"length"})[0]}};
  return g;
}
}  // namespace test
