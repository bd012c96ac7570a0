// Small graphs, built by hand and run by sessions.
#pragma once
#include <gtest/gtest.h>
#include "engine/session.h"
#include "tests/engine/op_case.h"

namespace engine::test {
using schema::BinaryKind, schema::UnaryKind;

inline Type f32_type(Dims dims) { return Type::tensor(DType::f32, std::move(dims)); }
inline ValueId unary(Rewriter& r, UnaryKind kind, ValueId x) {
  return r.add(schema::Unary{kind}, {x}, {std::string(name(kind))})[0];
}
inline ValueId binary(Rewriter& r, BinaryKind kind, ValueId x, ValueId y) {
  return r.add(schema::Binary{kind}, {x, y}, {std::string(name(kind))})[0];
}
inline std::shared_ptr<const Model> model_of(Graph graph) {
  verify(graph);
  return std::make_shared<const Model>(std::move(graph));
}
inline std::vector<double> numbers(const ConstView& x) {
  std::vector<double> all;
  for (int64_t i = 0; i < x.elements(); ++i) all.push_back(load<double>(x, i));
  return all;
}
using Numbers = std::vector<double>;
std::optional<int64_t> allocations_so_far();  // of the process; none: a sanitiser's allocator is in the way
template <class F> std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}
#define EXPECT_ERROR(statement, ...) \
  for (const std::string text = error_of([&] { statement; }); \
       const std::string& word : std::vector<std::string>{__VA_ARGS__}) \
  EXPECT_NE(text.find(word), std::string::npos) << "'" << text << "' lacks '" << word << "'"
}  // namespace engine::test
