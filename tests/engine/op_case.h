// Runs one op by itself, as a plan would. Every case runs with its inputs as constants, then again with nothing but
// their shapes known before the run: the results must be the same.
#pragma once
#include <gtest/gtest.h>
#include <random>
#include "engine/op.h"
#include "engine/shape.h"

namespace engine::test {
inline constexpr double nan = NAN, inf = INFINITY;
using Inputs = std::vector<ConstantPtr>;  // null: an input that is absent

// A tensor of any numeric dtype.
inline ConstantPtr tensor(DType dtype, const Shape& shape, const std::vector<double>& values) {
  Object object;
  const View view = object.set_tensor(dtype, shape);
  EXPECT_EQ(view.elements(), int64_t(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    if (schema::is_real(dtype)) store(view, int64_t(i), values[i]);
    else if (dtype == DType::u64) store(view, int64_t(i), UInt(values[i]));
    else store(view, int64_t(i), Int(values[i]));
  }
  return make_constant(std::as_const(object).view());
}
inline ConstantPtr f32(const Shape& shape, const std::vector<double>& values) { return tensor(DType::f32, shape, values); }
inline ConstantPtr i64(const Shape& shape, const std::vector<double>& values) { return tensor(DType::i64, shape, values); }
inline ConstantPtr i64(const std::vector<int64_t>& values) { return make_ints(values); }
// 0, 1, 2, …
inline ConstantPtr iota(DType dtype, const Shape& shape) {
  std::vector<double> values(size_t(elements(shape)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = double(i);
  return tensor(dtype, shape, values);
}
inline ConstantPtr f32_iota(const Shape& shape) { return iota(DType::f32, shape); }
// Integers from -8 to 8.
inline ConstantPtr random_tensor(const Shape& shape, unsigned seed, DType dtype = DType::f32) {
  std::mt19937 random(seed);
  std::vector<double> values(size_t(elements(shape)));
  for (double& v : values) v = int(random() % 17) - 8;
  return tensor(dtype, shape, values);
}

inline std::vector<double> values(const Object& x) {
  std::vector<double> out;
  for (int64_t i = 0; i < elements(x.shape); ++i) out.push_back(load<double>(x.view(), i));
  return out;
}

enum class Known { values, shapes, ranks, nothing };

template <class T> Types infer_case(const T& op, const Inputs& inputs, size_t outputs, Known known) {
  Graph graph;
  Node node{op, {}, ValueIds(outputs, ValueId::none), {"test"}, {}};
  for (const ConstantPtr& x : inputs) {
    if (!x) {
      node.inputs.push_back(ValueId::none);
      continue;
    }
    const Type exact = Type::tensor(x->dtype, x->shape);
    if (known == Known::values) node.inputs.push_back(graph.add_constant(x));
    else if (known == Known::shapes) node.inputs.push_back(graph.add_input("x", exact));
    else if (known == Known::ranks) node.inputs.push_back(graph.add_input("x", Type::tensor(x->dtype, Dims(x->shape.size(), Dim::unknown()))));
    else node.inputs.push_back(graph.add_input("x", Type::unranked(x->dtype)));
  }
  return def(op).infer(op, InferContext(graph, node));
}

template <class T> std::vector<Object> run_case(const T& op, const Inputs& inputs, const Types& types) {
  RunContext context;
  std::vector<Object> objects(types.size());
  for (const ConstantPtr& x : inputs) context.in_.push_back(x ? RunContext::Input{x->view()} : RunContext::Input{{}, false});
  for (size_t k = 0; k < types.size(); ++k) {
    View view{types[k].dtype, {}, nullptr, &objects[k]};
    if (types[k].determined()) {
      view = objects[k].set_tensor(types[k].dtype, types[k].shape());
      if (types[k].dtype != DType::string) std::fill_n(view.data, view.bytes(), std::byte{0xab});  // an output starts as anything
    }
    context.out_.push_back({view, true, !types[k].determined()});
  }
  def(op).reference(op, context);
  return objects;
}

template <class T> std::vector<Object> run(const T& op, const Inputs& inputs, size_t outputs = 1) {
  const Types exact = infer_case(op, inputs, outputs, Known::values), shapes = infer_case(op, inputs, outputs, Known::shapes);
  for (Known known : {Known::values, Known::shapes, Known::ranks, Known::nothing}) {
    const Types types = infer_case(op, inputs, outputs, known);
    EXPECT_EQ(types.size(), outputs);
    for (size_t k = 0; k < outputs; ++k)
      EXPECT_TRUE(compatible(types[k], exact[k])) << to_text(types[k]) << " is not " << to_text(exact[k]);
  }
  const std::vector<Object> result = run_case(op, inputs, exact), again = run_case(op, inputs, shapes);
  for (size_t k = 0; k < outputs; ++k) {
    EXPECT_TRUE(compatible(exact[k], Type::tensor(result[k].dtype, result[k].shape)));
    EXPECT_EQ(result[k].shape, again[k].shape);
    EXPECT_EQ(result[k].strings, again[k].strings);
    if (result[k].dtype == DType::string || elements(result[k].shape) == 0) continue;
    const int64_t whole = elements(result[k].shape) * bits_of(result[k].dtype) / 8;  // the last byte may hold fewer elements
    EXPECT_EQ(std::memcmp(result[k].bytes.data(), again[k].bytes.data(), size_t(whole)), 0) << "differs when sizes are found at run";
  }
  return result;
}

template <class T> Object run1(const T& op, const Inputs& inputs) { return std::move(run(op, inputs)[0]); }
template <class T> std::vector<double> numbers(const T& op, const Inputs& inputs) { return values(run1(op, inputs)); }

// Inference or the run must fail with this text in the message.
template <class T> void expect_error(const T& op, const Inputs& inputs, const std::string& text, size_t outputs = 1) {
  for (Known known : {Known::values, Known::shapes}) {
    try {
      run_case(op, inputs, infer_case(op, inputs, outputs, known));
      ADD_FAILURE() << "no error with '" << text << "'";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
    }
  }
}
}  // namespace engine::test
