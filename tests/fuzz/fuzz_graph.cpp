// Bytes as a small random graph, compiled for every instruction set of this machine and by references alone; all run on
// the same inputs and are compared.
//
// Tolerance: an element may differ from the reference's by `relative` of the largest magnitude that its tensor, or any
// tensor that it is computed from, has: errors of f32 sums, and of the vector forms of functions (unary.def), grow with
// what is summed, not with what is left. Functions that are steep or jump are applied to inputs only through tanh or
// sigmoid, whose slope is at most 1, and magnitudes are kept below 1e4, so that an error is not blown up on its way.
// Integers and booleans must be equal. Products of quantised inputs are exact, so they need no tolerance.
#include <cmath>
#include <deque>
#include "tests/fuzz/fuzz.h"

namespace fuzz {
namespace {
using schema::BinaryKind, schema::UnaryKind;
constexpr double relative = 2e-4;

class Maker {
 public:
  Maker(const uint8_t* data, size_t size) : bits_(data, size), rewriter_(graph_) {}

  Graph make() {
    const size_t inputs = 1 + bits_.below(3);
    for (size_t k = 0; k < inputs; ++k) add_input();
    for (int n = 0; n < 12 && !bits_.empty(); ++n) {
      try {
        add_node();
      } catch (const Error&) {
        // Not a graph: the ops' own validation says so, and the next decision follows.
      }
    }
    std::vector<bool> used(graph_.values.size());
    for (const Node& node : graph_.nodes)
      for (ValueId v : node.inputs)
        if (v != ValueId::none) used[size_t(v)] = true;
    for (ValueId v : known_)
      if (!used[size_t(v)] || bits_.below(8) == 7) graph_.outputs.push_back({cat("y", graph_.outputs.size()), v});
    if (graph_.outputs.empty()) graph_.outputs.push_back({"y", known_.back()});
    rewriter_.commit();
    return std::move(graph_);
  }

 private:
  int64_t extent() {
    static constexpr int64_t extents[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 0, 6};
    return bits_.pick(extents);
  }
  Shape shape(size_t rank) {
    Shape s;
    for (size_t i = 0; i < rank; ++i) s.push_back(extent());
    while (elements(s) > 8000) *std::ranges::max_element(s) = 2;
    return s;
  }
  void add_input() {
    static constexpr size_t ranks[] = {4, 2, 3, 1, 4, 2, 4, 0};
    const Shape s = shape(bits_.pick(ranks));
    known_.push_back(graph_.add_input(cat("x", graph_.inputs.size()), Type::tensor(DType::f32, s)));
  }
  // Small numbers of both signs, from the position alone.
  ValueId constant(const Shape& s, double scale = 1) {
    Object object;
    const View view = object.set_tensor(DType::f32, s);
    const uint32_t salt = bits_.byte();
    for (int64_t i = 0; i < view.elements(); ++i) store(view, i, scale * (double((uint32_t(i + 1) * 2654435761u + salt * 40503u) >> 16) / 32768.0 - 1));
    return graph_.add_constant(make_constant(std::as_const(object).view()));
  }
  ValueId integers(std::vector<int64_t> values) { return graph_.add_constant(make_ints(values)); }
  ValueId any() { return known_[known_.size() - 1 - std::min<size_t>(bits_.below(8), known_.size() - 1)]; }
  const Dims& dims(ValueId v) { return graph_[v].type.dims; }
  int64_t at(ValueId v, size_t i) { return i < dims(v).size() ? dims(v)[i].value() : 1; }
  ValueId add(Op op, ValueIds in) {
    const ValueId y = rewriter_.add(std::move(op), std::move(in), {cat("n", graph_.nodes.size())})[0];
    require(graph_[y].type.determined() && elements(graph_[y].type.shape()) <= 10000, Code::limit, "too large");
    return y;
  }
  void keep(ValueId y) { known_.push_back(y); }
  // Within -1 and 1.
  ValueId tame(ValueId x) { return add(schema::Unary{bits_.below(2) ? UnaryKind::tanh : UnaryKind::sigmoid}, {x}); }

  void add_node() {
    const ValueId x = any();
    const int64_t rank = graph_[x].type.rank();
    switch (bits_.below(22)) {
      case 0: case 1: return keep(unary(x));
      case 2: case 3: return keep(binary(x));
      case 4: case 5: return keep(conv(x));
      case 6: case 7: return keep(mat_mul(x));
      case 8: return keep(pool(x));
      case 9: {
        static constexpr schema::ReduceKind kinds[] = {schema::ReduceKind::sum, schema::ReduceKind::mean, schema::ReduceKind::max, schema::ReduceKind::min};
        return keep(add(schema::Reduce{bits_.pick(kinds), bits_.below(2) != 0}, {x, integers({axis(rank)})}));
      }
      case 10: {
        schema::Transpose op;
        for (int64_t d = 0; d < rank; ++d) op.perm.insert(op.perm.begin() + int64_t(bits_.below(uint64_t(d) + 1)), d);
        return keep(add(op, {x}));
      }
      case 11: {
        const int64_t n = elements(graph_[x].type.shape()), by = extent();
        return keep(add(schema::Reshape{true}, {x, integers(by && n % by == 0 ? std::vector{by, n / by} : std::vector{n})}));
      }
      case 12: return keep(add(schema::Concat{axis(rank)}, {x, any()}));
      case 13: {
        const int64_t a = axis(rank), from = int64_t(bits_.below(4)), to = int64_t(bits_.below(40)) - 4, step = int64_t(bits_.below(2)) + 1;
        return keep(add(schema::Slice{}, {x, integers({from}), integers({to}), integers({a}), integers({step})}));
      }
      case 14: {
        std::vector<int64_t> pads;
        for (int64_t d = 0; d < 2 * rank; ++d) pads.push_back(int64_t(bits_.below(3)));
        return keep(add(schema::Pad{}, {x, integers(pads)}));
      }
      case 15: return keep(add(schema::Softmax{bits_.below(2) ? schema::SoftmaxKind::softmax : schema::SoftmaxKind::log_softmax, axis(rank)}, {x}));
      case 16: {
        const Shape c{at(x, 1)};
        if (bits_.below(2)) return keep(add(schema::GroupNorm{int64_t(bits_.below(3)), 0.1}, {x, constant(c), constant(c)}));
        const ValueId variance = add(schema::Binary{BinaryKind::mul}, {constant(c), graph_.add_constant(make_scalar(DType::f32, 0.0))});
        return keep(add(schema::BatchNorm{0.5}, {x, constant(c), constant(c), constant(c), variance}));
      }
      case 17: {
        const Shape c{at(x, size_t(std::max<int64_t>(rank, 1) - 1))};
        return keep(add(schema::LayerNorm{-1, 0.1, bits_.below(2) != 0}, {x, constant(c), constant(c)}));
      }
      case 18: {
        schema::Resize op;
        op.mode = bits_.below(2) ? schema::ResizeMode::nearest : schema::ResizeMode::linear;
        op.coordinates = schema::ResizeCoordinates::asymmetric;
        op.nearest = schema::ResizeNearest::floor;
        Shape to;
        for (int64_t d = 0; d < rank; ++d) to.push_back(at(x, size_t(d)) * (d < 2 ? 1 : 1 + int64_t(bits_.below(2))));
        return keep(add(op, {x, ValueId::none, ValueId::none, integers(to)}));
      }
      case 19: return keep(rnn(x));
      default: return keep(quantised(x));
    }
  }

  int64_t axis(int64_t rank) { return rank ? int64_t(bits_.below(uint64_t(rank))) : 0; }

  ValueId unary(ValueId x) {
    static constexpr UnaryKind gentle[] = {UnaryKind::relu, UnaryKind::neg, UnaryKind::abs, UnaryKind::tanh, UnaryKind::sigmoid, UnaryKind::gelu, UnaryKind::silu,
                                           UnaryKind::softplus, UnaryKind::leaky_relu, UnaryKind::hard_swish, UnaryKind::clip};
    static constexpr UnaryKind steep[] = {UnaryKind::exp, UnaryKind::sin, UnaryKind::cos, UnaryKind::erf, UnaryKind::elu};
    if (bits_.below(4) == 3) return add(schema::Unary{bits_.pick(steep), 0.5, 2}, {tame(x)});
    const UnaryKind kind = bits_.pick(gentle);
    return add(kind == UnaryKind::clip ? schema::Unary{kind, -0.5, 1.5} : schema::Unary{kind, 0.25, 0.5}, {x});
  }

  ValueId binary(ValueId x) {
    static constexpr BinaryKind kinds[] = {BinaryKind::add, BinaryKind::sub, BinaryKind::mul, BinaryKind::min, BinaryKind::max, BinaryKind::div};
    const BinaryKind kind = bits_.pick(kinds);
    ValueId y = x;
    switch (bits_.below(4)) {
      case 0: y = any(); break;
      case 1: y = graph_.add_constant(make_scalar(DType::f32, 0.75)); break;
      case 2: y = constant(Shape{at(x, dims(x).size() - 1)}); break;
      default: y = constant(Shape{at(x, 1), 1, 1});
    }
    if (kind == BinaryKind::mul) x = tame(x);
    if (kind == BinaryKind::div) y = add(schema::Binary{BinaryKind::add}, {add(schema::Unary{UnaryKind::sigmoid}, {y}), graph_.add_constant(make_scalar(DType::f32, 0.5))});
    return bits_.below(2) ? add(schema::Binary{kind}, {x, y}) : add(schema::Binary{kind == BinaryKind::div ? BinaryKind::add : kind}, {y, x});
  }

  ValueId conv(ValueId x) {
    const size_t rank = dims(x).size();
    require(rank >= 3, Code::unsupported, "rank");
    schema::Conv op;
    const int64_t channels = at(x, 1);
    const uint64_t kind = bits_.below(4);
    op.groups = kind == 0 ? std::max<int64_t>(1, channels) : kind == 1 && channels % 2 == 0 ? 2 : 1;
    Shape w{op.groups * (1 + int64_t(bits_.below(kind == 0 ? 2 : 20))), channels / op.groups};
    for (size_t d = 2; d < rank; ++d) {
      static constexpr int64_t kernels[] = {1, 3, 2, 5, 1, 3, 7, 4};
      w.push_back(bits_.pick(kernels));
      op.stride.push_back(1 + int64_t(bits_.below(3) == 2) + int64_t(bits_.below(8) == 7));
      op.dilation.push_back(1 + int64_t(bits_.below(6) == 5));
    }
    for (size_t d = 0; d < 2 * (rank - 2); ++d) op.pad.push_back(int64_t(bits_.below(4)));
    require(elements(w) <= 8000, Code::limit, "too large");
    const double scale = 1 / std::sqrt(double(std::max<int64_t>(1, elements(w) / std::max<int64_t>(1, w[0]))));
    ValueIds in{x, constant(w, scale)};
    if (bits_.below(2)) in.push_back(constant({w[0]}));
    return add(op, in);
  }

  ValueId mat_mul(ValueId x) {
    const bool trans = bits_.below(2);
    const int64_t k = at(x, dims(x).size() - 1), n = extent();
    if (bits_.below(4) == 3) return add(schema::MatMul{false, trans}, {tame(x), tame(any())});
    return add(schema::MatMul{false, trans}, {x, constant(trans ? Shape{n, k} : Shape{k, n}, 1 / std::sqrt(double(std::max<int64_t>(k, 1))))});
  }

  ValueId bytes(DType dtype, const Shape& s) {
    Object object;
    const View view = object.set_tensor(dtype, s);
    const uint32_t salt = bits_.byte();
    for (int64_t i = 0; i < view.elements(); ++i) store(view, i, Int(int64_t((uint32_t(i + 1) * 2654435761u + salt * 40503u) >> 24) - (dtype == DType::i8 ? 128 : 0)));
    return graph_.add_constant(make_constant(std::as_const(object).view()));
  }
  // A product of integers; its result may be wanted as it is. What it quantises is an input, on which all levels agree to the bit.
  ValueId quantised(ValueId) {
    const ValueId x = graph_.inputs[bits_.below(graph_.inputs.size())];
    const DType dtype = bits_.below(2) ? DType::u8 : DType::i8, weight = bits_.below(2) ? DType::u8 : DType::i8;
    const auto scale = [&](double v) { return graph_.add_constant(make_scalar(DType::f32, v)); };
    const ValueId zero = bits_.below(2) ? bytes(dtype, {}) : ValueId::none, unit = scale(1.0 / 64);
    const ValueId q = add(schema::QuantizeLinear{dtype}, {x, unit, zero});
    const size_t rank = dims(x).size();
    const bool factor = bits_.below(4) != 0, bias = bits_.below(2), per_feature = bits_.below(2);
    ValueId y;
    int64_t features = 0, terms = 0;
    const auto tail = [&](ValueIds in) {
      in.push_back(zero), in.push_back(per_feature ? bytes(weight, {features}) : bytes(weight, {}));
      in.push_back(bias ? graph_.add_constant(make_constant_of(DType::i32, features)) : ValueId::none);
      if (factor) in.push_back(scale(1.0 / (64 * double(std::max<int64_t>(terms, 1))))), in.push_back(bits_.below(2) ? bytes(dtype, {}) : ValueId::none);
      return in;
    };
    if (rank >= 3) {
      schema::QuantizedConv op;
      op.to = dtype, op.groups = bits_.below(3) ? 1 : std::max<int64_t>(1, at(x, 1));
      features = op.groups * (1 + int64_t(bits_.below(6)));
      Shape w{features, at(x, 1) / op.groups};
      for (size_t d = 2; d < rank; ++d) w.push_back(1 + int64_t(bits_.below(3)));
      for (size_t d = 0; d < 2 * (rank - 2); ++d) op.pad.push_back(int64_t(bits_.below(3)));
      terms = features ? elements(w) / features : 0;
      require(elements(w) <= 8000, Code::limit, "too large");
      const ValueId kernel = bytes(weight, w);
      y = add(op, tail({q, kernel}));
    } else {
      require(rank > 0, Code::unsupported, "rank");
      terms = at(x, rank - 1), features = extent();
      const bool trans = bits_.below(2);
      const ValueId b = bytes(weight, trans ? Shape{features, terms} : Shape{terms, features});
      y = add(schema::QuantizedMatMul{trans, dtype}, trans && per_feature ? ValueIds{q, b, zero} : tail({q, b}));
    }
    return add(schema::DequantizeLinear{}, {y, graph_[y].type.dtype == DType::i32 ? scale(1.0 / (1 << 22)) : unit});
  }
  ConstantPtr make_constant_of(DType dtype, int64_t n) {
    Object object;
    const View view = object.set_tensor(dtype, Shape{n});
    for (int64_t i = 0; i < n; ++i) store(view, i, Int((i * 7919 % 40001) * (i % 3 ? 1 : -900)));
    return make_constant(std::as_const(object).view());
  }

  ValueId pool(ValueId x) {
    schema::Pool op;
    op.kind = bits_.below(2) ? schema::PoolKind::max : schema::PoolKind::average;
    for (size_t d = 2; d < dims(x).size(); ++d) op.kernel.push_back(1 + int64_t(bits_.below(3))), op.stride.push_back(1 + int64_t(bits_.below(2)));
    const int64_t pad = int64_t(bits_.below(2));
    for (size_t d = 0; d < 2 * op.kernel.size(); ++d) op.pad.push_back(std::min<int64_t>(pad, op.kernel[d % op.kernel.size()] - 1));
    op.ceil_mode = bits_.below(2), op.count_pad = bits_.below(2);
    return add(op, {x});
  }

  ValueId rnn(ValueId x) {
    require(dims(x).size() == 3 && at(x, 0) <= 9, Code::unsupported, "shape");
    schema::Rnn op;
    op.kind = bits_.pick({schema::RnnKind::lstm, schema::RnnKind::gru, schema::RnnKind::rnn});
    op.direction = bits_.below(2) ? schema::RnnDirection::forward : schema::RnnDirection::bidirectional;
    op.hidden = 1 + int64_t(bits_.below(17)), op.linear_before_reset = bits_.below(2);
    const int64_t d = op.direction == schema::RnnDirection::bidirectional ? 2 : 1, g = op.kind == schema::RnnKind::lstm ? 4 : op.kind == schema::RnnKind::gru ? 3 : 1;
    return add(op, {x, constant({d, g * op.hidden, at(x, 2)}, 0.3), constant({d, g * op.hidden, op.hidden}, 0.3), constant({d, 2 * g * op.hidden}, 0.3)});
  }

  Bits bits_;
  Graph graph_;
  Rewriter rewriter_;
  ValueIds known_;
};

std::vector<Object> run(const Graph& graph, const std::vector<Object>& inputs, const CompileOptions& options, double* largest = nullptr) {
  static kernels::ThreadPool pool(1);
  RunOptions run_options;
  run_options.pool = &pool;
  if (largest)
    run_options.observer = [=](const Plan&, size_t, double, const RunContext& c) {
      for (size_t k = 0; k < c.outputs(); ++k)
        if (c.wants(k) && c.out(k).dtype == DType::f32)
          for (float v : c.out(k).as<float>()) *largest = std::isfinite(v) ? std::max(*largest, double(std::fabs(v))) : INFINITY;
    };
  // The last plans are kept, and with them generated code that others then need not make again.
  static std::deque<std::shared_ptr<PlanCache>> kept;
  kept.push_back(std::make_shared<PlanCache>(graph, options));
  if (kept.size() > 100) kept.pop_front();
  Frame frame(kept.back(), run_options);
  std::vector<ConstView> views;
  for (const Object& x : inputs) views.push_back(x.view());
  const auto results = frame.run(views);
  if (!valid(frame.plan()->memory, frame.plan()->buffers, arena_alignment)) finding("the memory plan is not valid");
  std::vector<Object> out(results.size());
  for (size_t k = 0; k < out.size(); ++k) out[k].assign(results[k]);
  return out;
}

std::string text_of(const Graph& graph) {
  std::string text;
  for (const Node& node : graph.nodes) text += cat("\n  ", to_text(node.origins), ": ", to_text(node.op), " of ", to_text(types_of(graph, node.inputs)));
  return text;
}
[[noreturn]] void fail_with(const Graph& graph, std::string_view level, const Error& e) {
  finding(cat("a valid graph does not run at ", level, ": ", e.what(), text_of(graph)));
}

void compare(const std::vector<Object>& want, const std::vector<Object>& got, double scale, std::string_view level, const Graph& graph) {
  for (size_t k = 0; k < want.size(); ++k) {
    if (want[k].dtype != got[k].dtype || want[k].shape != got[k].shape)
      finding(cat("output ", k, " at ", level, " is ", name(got[k].dtype), to_text(got[k].shape), " instead of ", name(want[k].dtype), to_text(want[k].shape)));
    for (int64_t i = 0; i < want[k].view().elements(); ++i) {
      const double w = load<double>(want[k].view(), i), g = load<double>(got[k].view(), i);
      if (std::isnan(w) ? std::isnan(g) : w == g || std::fabs(w - g) <= relative * scale) continue;
      finding(cat("output ", k, to_text(want[k].shape), " at ", level, ": element ", i, " is ", g, " instead of ", w, text_of(graph)));
    }
  }
}
}  // namespace
}  // namespace fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fuzz;
  const Graph graph = Maker(data, size).make();
  verify(graph);
  std::vector<Object> inputs(graph.inputs.size());
  double largest = 1;
  for (size_t k = 0; k < inputs.size(); ++k) {
    const View view = inputs[k].set_tensor(DType::f32, graph[graph.inputs[k]].type.shape());
    for (int64_t i = 0; i < view.elements(); ++i) store(view, i, double((uint32_t(i + 7 * int64_t(k)) * 2246822519u) >> 16) / 32768.0 - 1);
  }
  CompileOptions references;
  references.reference_only = true;
  std::vector<Object> want;
  try {
    auto budget = std::make_shared<Budget>();
    budget->start(5e6, Budget::Clock::time_point::max());
    const BudgetScope scope(budget);
    want = run(graph, inputs, references, &largest);
  } catch (const Error& e) {
    if (e.code == Code::limit) return 0;  // too much work for one input
    fail_with(graph, "references", e);
  }
  if (largest > 1e4) return 0;
  for (const auto& level : kernels::isa::levels()) {
    if (!kernels::isa::runs(level.mask, kernels::isa::detected())) continue;
    CompileOptions options;
    options.isa = level.mask;
    try {
      compare(want, run(graph, inputs, options), largest, level.name, graph);
    } catch (const Error& e) {
      fail_with(graph, level.name, e);
    }
  }
  return 0;
}
