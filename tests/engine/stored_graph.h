// A graph with something of everything that a file can hold, and its graph section.
#pragma once
#include "engine/graph_proto.h"
#include "tests/engine/graphs.h"

namespace engine::test {
// Two inputs, a symbol, a bounded symbol, weights large and small, strings, an optional input that is absent, a body, a
// state, and an output that is a constant.
inline Graph sample() {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::f32, Dims{Dim::symbol("n"), 4}));
  const ValueId past = graph.add_input("past", Type::tensor(DType::f32, Dims{Dim::symbol("past", 0, 64), 4}));
  const ValueId flag = graph.add_input("flag", Type::scalar(DType::boolean));
  const ValueId large = graph.add_constant(f32_iota({4, 40}), "weights"),
                small = graph.add_constant(make_scalar(DType::f32, 2.5));
  const ValueId words = graph.add_constant(make_strings({2}, {"one", ""}), "words");
  Rewriter r(graph);
  const ValueId product = r.add(schema::MatMul{}, {x, large}, {"product (MatMul)"})[0];
  const ValueId scaled = r.add(schema::Binary{schema::BinaryKind::mul}, {product, small}, {"scale (Mul)"})[0];
  const ValueId joined = r.add(schema::Concat{0}, {past, x}, {"join (Concat)"})[0];
  Graph relu, negative;
  for (const auto& [body, kind] : {std::pair{&relu, schema::UnaryKind::relu}, {&negative, schema::UnaryKind::neg}}) {
    const ValueId in = body->add_input("in", Type::tensor(DType::f32, Dims{Dim::unknown(), 40}));
    body->outputs.push_back({"out", Rewriter(*body).add(schema::Unary{kind}, {in}, {"inner"})[0]});
  }
  const ValueId chosen = r.add(schema::If{}, {flag, scaled}, {"choose (If)"}, 1,
                               {std::make_shared<Graph>(relu), std::make_shared<Graph>(negative)})[0];
  graph.outputs = {{"y", chosen}, {"present", joined}, {"words", words}, {"same", large}};
  graph.states = {{1, 1}};
  return graph;
}

struct Stored {
  std::string section;
  Bytes weights;
};
inline Stored store(const Graph& graph) {
  std::string weights;
  Stored stored;
  stored.section = write_graph(graph, [&](const Constant& c) {
    weights.resize((weights.size() + 63) / 64 * 64);
    weights.append(reinterpret_cast<const char*>(c.data), size_t(c.bytes()));
    return weights.size() - size_t(c.bytes());
  });
  stored.weights.resize(weights.size());
  if (!weights.empty()) std::memcpy(stored.weights.data(), weights.data(), weights.size());
  return stored;
}
inline Graph read(const std::string& section, const Bytes& weights) {
  return read_graph(std::as_bytes(std::span(section)), {{weights.data(), weights.size()}, nullptr, nullptr});
}
}  // namespace engine::test
