// Ops whose kernels read computed indices, keep a state or round their operands, on the device that the host emulates.
#include "engine/device.h"
#include "engine/session.h"
#include "tests/device/backend.h"
#include "tests/engine/compiled.h"
#include "tests/engine/op_case.h"

namespace engine::test {
namespace {
using schema::BinaryKind, schema::ReduceKind, schema::UnaryKind;

// Runs twice on the device, the second time as a replayed graph, and by references.
struct Compared {
  std::vector<std::string> kernels;  // of steps on the device, without copies
  std::vector<std::string> host;
};
Compared compare(const Graph& graph, const std::vector<ConstantPtr>& inputs, double tolerance = 1e-5,
                 kernels::Precision precision = kernels::Precision::f32) {
  CompileOptions device, reference;
  device.device = Device::open(backend_of_tests(), 0);
  device.precision = precision;
  reference.reference_only = true;
  Session got(std::make_shared<const Model>(graph, device)), want(std::make_shared<const Model>(graph, reference));
  for (size_t k = 0; k < inputs.size(); ++k) got.set_input(k, inputs[k]->view()), want.set_input(k, inputs[k]->view());
  want.run();
  for (int turn = 0; turn < 2; ++turn) {
    got.run();
    for (size_t k = 0; k < graph.outputs.size(); ++k) {
      const ConstView &a = got.output(k), &b = want.output(k);
      EXPECT_TRUE(a.dtype == b.dtype && std::ranges::equal(a.shape, b.shape));
      for (int64_t i = 0; i < b.elements(); ++i) {
        const double x = load<double>(a, i), y = load<double>(b, i);
        EXPECT_TRUE(std::fabs(x - y) <= tolerance * std::max(1.0, std::fabs(y)) || (std::isnan(x) && std::isnan(y)))
            << "output " << k << ", element " << i << ": " << x << " not " << y;
        if (testing::Test::HasFailure()) return {};
      }
    }
  }
  Compared c;
  for (const Step& step : got.frame().plan()->steps) {
    if (!step.on_device) c.host.emplace_back(schema::name(step.op.id()));
    else if (!step.op.get_if<schema::DeviceCopy>()) c.kernels.emplace_back(step.kernel);
  }
  return c;
}
void expect_on_device(const Compared& c, const std::string& kernel) {
  EXPECT_TRUE(c.host.empty()) << (c.host.empty() ? "" : c.host[0]);
  EXPECT_GT(std::ranges::count_if(c.kernels, [&](const std::string& k) { return k.starts_with(kernel); }), 0) << kernel;
}
ValueId typed_input(Built& b, DType dtype, const Shape& shape) {
  return b.graph.add_input(cat("x", b.graph.inputs.size()), Type::tensor(dtype, shape));
}

TEST(DeviceOps, Gathers) {
  Built b;
  const ValueId x = b.input({3, 4, 5}), i = typed_input(b, DType::i64, {2, 3}),
                e = typed_input(b, DType::i32, {3, 2, 5}), t = typed_input(b, DType::i64, {3, 2, 1});
  b.output(b.r.add(schema::Gather{.axis = 1}, {x, i}, {"gather"})[0]);
  b.output(b.r.add(schema::GatherElements{.axis = 1}, {x, e}, {"elements"})[0]);
  b.output(b.r.add(schema::GatherND{.batch_dims = 1}, {x, t}, {"tuples"})[0]);
  std::vector<double> places(30);
  for (size_t k = 0; k < places.size(); ++k) places[k] = double(k % 8) - 4;
  expect_on_device(compare(b.graph, {random_constant({3, 4, 5}, 1), i64({2, 3}, {0, -1, 3, 2, -4, 1}),
                                     tensor(DType::i32, {3, 2, 5}, places), i64({3, 2, 1}, {0, 3, -1, 1, -4, 2})}),
                   "gather_cuda");
}

TEST(DeviceOps, AnIndexOutOfRangeIsAnErrorOfItsNode) {
  Built b;
  const ValueId x = b.input({4, 3}), i = typed_input(b, DType::i64, {5});
  const ValueId y = b.r.add(schema::Unary{UnaryKind::exp}, {x}, {"before"})[0];
  b.output(b.r.add(schema::Gather{}, {y, i}, {"lookup (Gather)"})[0]);
  CompileOptions options;
  options.device = Device::open(backend_of_tests(), 0);
  Session session(std::make_shared<const Model>(b.graph, options));
  const auto given = random_constant({4, 3}, 1), good = i64({5}, {0, 1, 2, 3, -4}), bad = i64({5}, {0, 1, 4, 3, -5});
  session.set_input(0, given->view());
  for (const bool fails : {true, false, true, true, false}) {  // not recorded yet, recorded, replayed
    session.set_input(1, (fails ? bad : good)->view());
    try {
      session.run();
      EXPECT_FALSE(fails);
    } catch (const Error& error) {
      EXPECT_TRUE(fails);
      EXPECT_EQ(error.code, Code::invalid_model);
      EXPECT_STREQ(error.what(), "lookup (Gather): Gather: element 2 of the indices is out of range");
    }
  }
}

TEST(DeviceOps, Scatters) {
  Built b;
  const ValueId x = b.input({4, 5}), i = typed_input(b, DType::i64, {2, 5}), u = b.input({2, 5}),
                t = typed_input(b, DType::i64, {3, 1}), v = b.input({3, 5});
  b.output(b.r.add(schema::ScatterElements{.axis = 0}, {x, i, u}, {"elements"})[0]);
  b.output(b.r.add(schema::ScatterND{}, {x, t, v}, {"tuples"})[0]);
  expect_on_device(compare(b.graph, {random_constant({4, 5}, 1), i64({2, 5}, {0, 1, 2, 3, -1, 0, 2, 2, -2, 3}),
                                     random_constant({2, 5}, 2), i64({3, 1}, {1, -1, 1}), random_constant({3, 5}, 3)}),
                   "scatter_cuda");
}

TEST(DeviceOps, ScattersThatCombine) {
  using schema::ScatterKind;
  for (const auto kind : {ScatterKind::add, ScatterKind::mul, ScatterKind::min, ScatterKind::max}) {
    Built b;
    const ValueId x = b.input({4, 5}), i = typed_input(b, DType::i64, {2, 5}), u = b.input({2, 5}), t = typed_input(b, DType::i64, {3, 1}), v = b.input({3, 5});
    b.output(b.r.add(schema::ScatterElements{.axis = 0, .kind = kind}, {x, i, u}, {"elements"})[0]);
    b.output(b.r.add(schema::ScatterND{.kind = kind}, {x, t, v}, {"tuples"})[0]);
    expect_on_device(compare(b.graph, {random_constant({4, 5}, 1), i64({2, 5}, {0, 1, 2, 3, -1, 0, 1, 2, -1, 3}), random_constant({2, 5}, 2), i64({3, 1}, {1, -1, 1}), random_constant({3, 5}, 3)}, 0),
                     "scatter_combine_cuda");
  }
}

TEST(DeviceOps, SumsAlongADimTrianglesAndOneHotRows) {
  Built b;
  const ValueId x = b.input({3, 7, 4}), i = typed_input(b, DType::i64, {2, 3});
  const auto axis = b.graph.add_constant(make_scalar(DType::i64, int64_t{1}));
  b.output(b.r.add(schema::CumSum{.exclusive = true}, {x, axis}, {"sum"})[0]);
  b.output(b.r.add(schema::CumProd{.reverse = true}, {x, axis}, {"product"})[0]);
  b.output(b.r.add(schema::Trilu{.upper = false}, {x, b.graph.add_constant(make_scalar(DType::i64, int64_t{-1}))}, {"triangle"})[0]);
  b.output(b.r.add(schema::OneHot{.axis = 1}, {i, b.graph.add_constant(make_scalar(DType::i64, int64_t{5})), b.graph.add_constant(f32({2}, {-1, 2}))}, {"one hot"})[0]);
  b.output(b.r.add(schema::Reduce{schema::ReduceKind::sum}, {i, b.graph.add_constant(make_ints({0}))}, {"integers"})[0]);
  b.output(b.r.add(schema::Reduce{schema::ReduceKind::log_sum_exp}, {x, b.graph.add_constant(make_ints({1}))}, {"log"})[0]);
  const auto c = compare(b.graph, {random_constant({3, 7, 4}, 1), i64({2, 3}, {0, -1, 4, 5, -6, -5})});
  for (const char* kernel : {"scan_lines_cuda", "triangle_cuda", "one_hot_cuda", "reduce_integer_cuda", "reduce_f32_cuda"}) expect_on_device(c, kernel);
}

TEST(DeviceOps, BlocksBetweenChannelsAndSpace) {
  for (const auto mode : {schema::DepthMode::dcr, schema::DepthMode::crd}) {
    Built b;
    const ValueId x = b.input({2, 12, 3, 5}), y = b.r.add(schema::DepthToSpace{.block = 2, .mode = mode}, {x}, {"space"})[0];
    b.output(y);
    b.output(b.r.add(schema::SpaceToDepth{.block = 2, .mode = mode}, {y}, {"depth"})[0]);
    const auto c = compare(b.graph, {random_constant({2, 12, 3, 5}, 1)}, 0);
    EXPECT_TRUE(c.host.empty());
    EXPECT_EQ(c.kernels.size(), 2u);
  }
}

TEST(DeviceOps, GridSamples) {
  using schema::ResizeMode;
  for (const auto mode : {ResizeMode::nearest, ResizeMode::linear, ResizeMode::cubic})
    for (const auto padding : {schema::GridPadding::zeros, schema::GridPadding::border, schema::GridPadding::reflection}) {
      Built b;
      b.output(b.r.add(schema::GridSample{mode, padding, padding == schema::GridPadding::border}, {b.input({2, 3, 5, 6}), b.input({2, 4, 3, 2})}, {"sample"})[0]);
      expect_on_device(compare(b.graph, {random_constant({2, 3, 5, 6}, 1), random_constant({2, 4, 3, 2}, 2)}), "grid_sample_cuda");
    }
}

struct Gqa {
  int64_t length, past, total;
  std::vector<double> lengths;
  bool rotary = false, norms = false, bias = false, interleaved = false, valid = false, causal = true;
  int64_t window = 0;
  double softcap = 0;
};
TEST(DeviceOps, GroupQueryAttentionAndItsCache) {
  constexpr int64_t batch = 2, heads = 4, kv_heads = 2, size = 6;
  for (const Gqa& t : {Gqa{5, 0, 5, {4, 4}}, Gqa{1, 7, 8, {7, 7}}, Gqa{3, 9, 9, {8, 5}, true}, Gqa{3, 9, 12, {11, 11}, true, true, true, true}, Gqa{40, 0, 40, {39, 12}, true},
                       Gqa{2, 40, 42, {41, 41}, false, false, false, false, false, true, 9, 3.0}, Gqa{4, 12, 12, {6, 3}, true, false, true, false, true},
                       Gqa{3, 4, 7, {6, 6}, false, false, false, false, false, false}}) {
    SCOPED_TRACE(cat(t.length, ' ', t.past, ' ', t.total));
    Built b;
    schema::GroupQueryAttention op;
    op.heads = heads, op.kv_heads = kv_heads, op.rotary = t.rotary, op.interleaved = t.interleaved, op.window = t.window, op.softcap = t.softcap, op.causal = t.causal;
    std::vector<ConstantPtr> given;
    const auto input = [&](const Shape& shape) {
      given.push_back(random_constant(shape, unsigned(given.size() + 1)));
      return typed_input(b, DType::f32, shape);
    };
    ValueIds in(15, ValueId::none);
    in[0] = input({batch, t.length, heads * size}), in[1] = input({batch, t.length, kv_heads * size}), in[2] = input({batch, t.length, kv_heads * size});
    if (t.past) in[3] = input({batch, kv_heads, t.past, size}), in[4] = input({batch, kv_heads, t.past, size});
    in[5] = typed_input(b, DType::i32, {batch}), given.push_back(tensor(DType::i32, {batch}, t.lengths));
    in[6] = b.graph.add_constant(make_scalar(DType::i32, t.total));
    if (t.rotary) in[7] = input({50, 2}), in[8] = input({50, 2});
    if (t.bias) in[10] = input({1, heads, t.length, t.total});
    if (t.norms) in[12] = input({size}), in[13] = input({size});
    if (t.valid) in[14] = typed_input(b, DType::i32, {batch}), given.push_back(tensor(DType::i32, {batch}, {double(t.length), 2}));
    for (ValueId v : b.r.add(op, in, {"attention"}, 3)) b.output(v);
    expect_on_device(compare(b.graph, given, 2e-5), "attention_f32_cuda");
  }
}
TEST(DeviceOps, LengthsThatDoNotFitTheCacheAreAnError) {
  Built b;
  schema::GroupQueryAttention op;
  op.heads = 2, op.kv_heads = 1;
  const ValueId q = b.input({2, 3, 8}), k = b.input({2, 3, 4}), n = typed_input(b, DType::i32, {2});
  for (ValueId v : b.r.add(op, {q, k, k, ValueId::none, ValueId::none, n, b.graph.add_constant(make_scalar(DType::i32, int64_t{3}))}, {"attention"}, 3)) b.output(v);
  CompileOptions options;
  options.device = Device::open(backend_of_tests(), 0);
  Session session(std::make_shared<const Model>(b.graph, options));
  const auto q_ = random_constant({2, 3, 8}, 1), k_ = random_constant({2, 3, 4}, 2), good = tensor(DType::i32, {2}, {2, 1}), bad = tensor(DType::i32, {2}, {2, 3});
  session.set_input(0, q_->view()), session.set_input(1, k_->view());
  for (const bool fails : {false, true, true, false}) {
    session.set_input(2, (fails ? bad : good)->view());
    try {
      session.run();
      EXPECT_FALSE(fails);
    } catch (const Error& error) {
      EXPECT_TRUE(fails);
      EXPECT_STREQ(error.what(), "attention: GroupQueryAttention: sequence length 1 is out of range");
    }
  }
}

TEST(DeviceOps, IntegersAndBooleans) {
  Built b;
  const ValueId x = typed_input(b, DType::i64, {3, 1}), y = typed_input(b, DType::i64, {4});
  const ValueId sum = b.r.add(schema::Binary{BinaryKind::add}, {x, y}, {"sum"})[0],
                less = b.r.add(schema::Binary{BinaryKind::less}, {x, y}, {"less"})[0];
  const ValueId both = b.r.add(schema::Binary{BinaryKind::logical_and},
                               {less, b.r.add(schema::Binary{BinaryKind::equal}, {sum, y}, {"equal"})[0]}, {"and"})[0];
  b.output(b.r.add(schema::Where{}, {b.r.add(schema::Unary{UnaryKind::logical_not}, {both}, {"not"})[0], sum, y},
                   {"where"})[0]);
  b.output(b.r.add(schema::Binary{BinaryKind::mod}, {sum, b.graph.add_constant(make_scalar(DType::i64, int64_t{3}))},
                   {"mod"})[0]);
  expect_on_device(compare(b.graph, {i64({3, 1}, {-5, 0, 7}), i64({4}, {1, -2, 3, 8})}), "broadcast_cuda");
}

TEST(DeviceOps, ChoicesInOrder) {
  Built b;
  const ValueId x = b.input({3, 9, 2}), k = b.graph.add_constant(make_ints({4}));
  const ValueIds top = b.r.add(schema::TopK{.axis = 1}, {x, k}, {"top"}, 2);
  b.output(top[0]), b.output(top[1]);
  b.output(b.r.add(schema::ArgReduce{.kind = schema::ArgKind::min, .axis = 1}, {x}, {"arg"})[0]);
  expect_on_device(compare(b.graph, {random_constant({3, 9, 2}, 1)}), "top_k_cuda");
}

TEST(DeviceOps, Quantisation) {
  Built b;
  const ValueId x = b.input({2, 3, 4}), scale = b.graph.add_constant(f32({3}, {0.02, 0.1, 0.05})),
                zero = b.graph.add_constant(tensor(DType::u8, {3}, {3, 128, 200}));
  const ValueId q = b.r.add(schema::QuantizeLinear{.to = DType::u8, .axis = 1}, {x, scale, zero}, {"quantise"})[0];
  b.output(q);
  b.output(b.r.add(schema::DequantizeLinear{.axis = 1}, {q, scale, zero}, {"back"})[0]);
  expect_on_device(compare(b.graph, {random_constant({2, 3, 4}, 1)}), "quantize_cuda");
}

TEST(DeviceOps, ConvTranspose) {
  Built b;
  const ValueId x = b.input({2, 6, 5, 4});
  b.output(b.r.add(schema::ConvTranspose{{2, 3}, {1, 1}, {1, 0, 0, 1}, {}, {}}, {x, b.constant({6, 7, 3, 4}), b.constant({7})},
                   {"up"})[0]);
  expect_on_device(compare(b.graph, {random_constant({2, 6, 5, 4}, 1)}), "conv_transpose_f32_cuda");
}

TEST(DeviceOps, AttentionIsOneStep) {
  Built b;
  const ValueId q = b.input({2, 3, 40, 8}), k = b.input({2, 3, 50, 8}), v = b.input({2, 3, 50, 6}),
                mask = b.input({2, 1, 1, 50});
  ValueId scores = b.r.add(schema::MatMul{.trans_b = true}, {q, k}, {"scores"})[0];
  scores = b.r.add(schema::Binary{BinaryKind::add}, {scores, mask}, {"masked"})[0];
  b.output(b.r.add(schema::MatMul{}, {b.r.add(schema::Softmax{.axis = -1}, {scores}, {"softmax"})[0], v}, {"mix"})[0]);
  const auto c = compare(b.graph, {random_constant({2, 3, 40, 8}, 1), random_constant({2, 3, 50, 8}, 2),
                                   random_constant({2, 3, 50, 6}, 3), random_constant({2, 1, 1, 50}, 4)});
  expect_on_device(c, "attention_f32_cuda");
  EXPECT_EQ(c.kernels.size(), 1u);
}

TEST(DeviceOps, RecurrentNets) {
  for (const auto kind : {schema::RnnKind::lstm, schema::RnnKind::gru, schema::RnnKind::rnn}) {
    Built b;
    const int64_t gates = kind == schema::RnnKind::lstm ? 4 : kind == schema::RnnKind::gru ? 3 : 1;
    schema::Rnn op;
    op.kind = kind, op.direction = schema::RnnDirection::bidirectional;
    const ValueId x = b.input({5, 2, 6}), lengths = typed_input(b, DType::i32, {2});
    const ValueIds y = b.r.add(
        op, {x, b.constant({2, gates * 7, 6}), b.constant({2, gates * 7, 7}), b.constant({2, gates * 14}), lengths},
        {"rnn"}, kind == schema::RnnKind::lstm ? 3 : 2);
    for (ValueId v : y) b.output(v);
    expect_on_device(compare(b.graph, {random_constant({5, 2, 6}, 1), tensor(DType::i32, {2}, {5, 3})}),
                     "rnn_f32_cuda");
  }
}

TEST(DeviceOps, PrecisionIsTheUsersChoice) {
  using kernels::Precision;
  Built b;
  ValueId x = b.conv(b.input({1, 64, 12, 12}), 64, 64, 3);
  x = b.r.add(schema::Unary{UnaryKind::relu}, {x}, {"relu"})[0];
  x = b.r.add(schema::Reshape{}, {x, b.graph.add_constant(make_ints({2, 32 * 144}))}, {"reshape"})[0];
  b.output(b.r.add(schema::Softmax{.axis = 1}, {b.mat_mul(x, 32 * 144, 40)}, {"softmax"})[0]);
  const std::vector<ConstantPtr> inputs{random_constant({1, 64, 12, 12}, 1)};
  for (const auto& [precision, name, tolerance] :
       {std::tuple(Precision::tf32, "tf32", 2e-2), {Precision::f16, "f16", 2e-2}, {Precision::bf16, "bf16", 0.2}}) {
    SCOPED_TRACE(name);
    const auto c = compare(b.graph, inputs, tolerance, precision);
    expect_on_device(c, cat("conv_", name));
    expect_on_device(c, cat("gemm_", name));
    expect_on_device(c, precision == Precision::tf32 ? "softmax_f32" : "softmax_half");
  }
  for (const std::string& kernel : compare(b.graph, inputs).kernels)
    for (const char* rounded : {"tf32", "_f16", "bf16"}) EXPECT_EQ(kernel.find(rounded), std::string::npos) << kernel;
}

// By value of the plan that some step of the device makes, how it lies in memory.
std::vector<DType> kept_in(const Graph& graph, const std::vector<ConstantPtr>& inputs, kernels::Precision precision) {
  CompileOptions options;
  options.device = Device::open(backend_of_tests(), 0), options.precision = precision;
  Session session(std::make_shared<const Model>(graph, options));
  for (size_t k = 0; k < inputs.size(); ++k) session.set_input(k, inputs[k]->view());
  session.run();
  std::vector<DType> kept;
  const Plan& plan = *session.frame().plan();
  for (const Step& step : plan.steps)
    if (step.on_device && !step.op.get_if<schema::DeviceCopy>()) kept.push_back(plan.values[step.outputs[0]].kept);
  return kept;
}

TEST(DeviceOps, ValuesBetweenStepsAreKeptAsHalf) {
  using kernels::Precision;
  Built b;
  ValueId x = b.conv(b.input({1, 16, 12, 12}), 16, 64, 3);  // read as f32
  const ValueId first = b.r.add(schema::Unary{UnaryKind::relu}, {x}, {"relu"})[0];
  x = b.conv(first, 64, 64, 3);
  x = b.r.add(schema::Binary{BinaryKind::add}, {x, b.conv(first, 64, 64, 3)}, {"residual"})[0];
  x = b.conv(x, 64, 64, 3, 64);
  x = b.r.add(schema::Pool{schema::PoolKind::max, {2, 2}, {2, 2}, {}, {}}, {x}, {"pool"})[0];
  x = b.r.add(schema::Reduce{ReduceKind::mean}, {x, b.graph.add_constant(make_ints({2, 3}))}, {"mean"})[0];
  x = b.r.add(schema::Reshape{}, {x, b.graph.add_constant(make_ints({1, 64}))}, {"reshape"})[0];
  x = b.r.add(schema::LayerNorm{.axis = -1}, {x, b.constant({64}), b.constant({64})}, {"norm"})[0];
  b.output(b.r.add(schema::Softmax{.axis = 1}, {b.mat_mul(x, 64, 40)}, {"softmax"})[0]);
  const std::vector<ConstantPtr> inputs{random_constant({1, 16, 12, 12}, 1)};
  for (const auto& [precision, type, tolerance] : {std::tuple(Precision::f16, DType::f16, 2e-2), {Precision::bf16, DType::bf16, 0.2}}) {
    const auto kept = kept_in(b.graph, inputs, precision);
    EXPECT_EQ(std::ranges::count(kept, type), std::ranges::ssize(kept) - 2) << "all but the input in another order, and what goes to the host";
    EXPECT_TRUE(kept.front() == DType::f32 && kept.back() == DType::f32);
    const auto c = compare(b.graph, inputs, tolerance, precision);
    for (const char* kernel : {"conv_", "pool_half_cuda", "reduce_half_cuda", "norm_half_cuda", "softmax_half_cuda"}) expect_on_device(c, kernel);
  }
  EXPECT_EQ(std::ranges::count(kept_in(b.graph, inputs, Precision::tf32), DType::f32), std::ranges::ssize(kept_in(b.graph, inputs, Precision::tf32)));
}

TEST(DeviceOps, AModelOfHalfStaysHalf) {
  for (const DType type : {DType::f16, DType::bf16}) {
    Built b;
    const auto weights = [&](const Shape& shape, unsigned seed) {
      const auto whole = random_constant(shape, seed);
      std::vector<double> values;
      for (int64_t i = 0; i < whole->view().elements(); ++i) values.push_back(load<double>(whole->view(), i));
      return tensor(type, shape, values);
    };
    const auto constant = [&](const Shape& shape, unsigned seed) { return b.graph.add_constant(weights(shape, seed)); };
    ValueId x = typed_input(b, type, {1, 16, 8, 8});
    x = b.r.add(schema::Conv{{1, 1}, {1, 1}, {1, 1, 1, 1}}, {x, constant({32, 16, 3, 3}, 1)}, {"conv"})[0];
    x = b.r.add(schema::Unary{UnaryKind::relu}, {x}, {"relu"})[0];
    x = b.r.add(schema::Reshape{}, {x, b.graph.add_constant(make_ints({32, 64}))}, {"reshape"})[0];
    b.output(b.r.add(schema::MatMul{}, {x, constant({64, 24}, 2)}, {"product"})[0]);
    CompileOptions options;
    options.device = Device::open(backend_of_tests(), 0);
    const auto given = weights({1, 16, 8, 8}, 3);
    for (const auto asked : {std::optional<kernels::Precision>(), std::optional(kernels::Precision::f32)}) {
      options.precision = asked;
      Session session(std::make_shared<const Model>(b.graph, options));
      session.set_input(0, given->view());
      session.run();
      const Plan& plan = *session.frame().plan();
      for (const Step& step : plan.steps) {
        if (!step.on_device || step.op.get_if<schema::DeviceCopy>()) continue;
        EXPECT_TRUE(asked || plan.values[step.outputs[0]].kept == type) << step.kernel;
        if (!step.kernel.starts_with("gemm")) continue;
        EXPECT_EQ(step.kernel.find("_f32_") == std::string_view::npos, !asked) << step.kernel;
      }
    }
    CompileOptions reference;
    reference.reference_only = true;
    Session want(std::make_shared<const Model>(b.graph, reference)), got(std::make_shared<const Model>(b.graph, CompileOptions{.device = options.device}));
    want.set_input(0, given->view()), got.set_input(0, given->view());
    want.run(), got.run();
    for (int64_t i = 0; i < want.output(0).elements(); ++i)
      ASSERT_NEAR(load<double>(got.output(0), i), load<double>(want.output(0), i), type == DType::f16 ? 0.05 : 0.4) << i;
  }
}

TEST(DeviceOps, WhatOnlyF32ReadsIsKeptAsF32) {
  Built b;
  ValueId x = b.mat_mul(b.input({64, 64}), 64, 64);
  x = b.r.add(schema::CumSum{}, {x, b.graph.add_constant(make_scalar(DType::i64, int64_t{1}))}, {"sums"})[0];  // takes no half
  x = b.r.add(schema::Transpose{{1, 0}}, {b.mat_mul(x, 64, 64)}, {"transpose"})[0];
  b.output(b.mat_mul(x, 64, 8));
  const std::vector<ConstantPtr> inputs{random_constant({64, 64}, 1, 0.1)};
  EXPECT_THAT(kept_in(b.graph, inputs, kernels::Precision::f16), testing::ElementsAre(DType::f32, DType::f32, DType::f16, DType::f16, DType::f32));
  compare(b.graph, inputs, 5e-2, kernels::Precision::f16);
}

TEST(DeviceOps, NumbersBeyondHalfStayFinite) {
  Built b;
  const auto number = [&](double v) { return b.graph.add_constant(make_scalar(DType::f32, v)); };
  ValueId x = b.mat_mul(b.input({8, 64}), 64, 64);
  x = b.r.add(schema::Transpose{{1, 0}}, {b.r.add(schema::Binary{BinaryKind::mul}, {x, number(1e6)}, {"large"})[0]}, {"transpose"})[0];
  b.output(b.r.add(schema::Binary{BinaryKind::mul}, {x, number(1e-6)}, {"small"})[0]);
  CompileOptions options;
  options.device = Device::open(backend_of_tests(), 0), options.precision = kernels::Precision::f16;
  Session session(std::make_shared<const Model>(b.graph, options));
  const auto given = random_constant({8, 64}, 1);
  session.set_input(0, given->view());
  session.run();
  int64_t largest = 0;
  for (int64_t i = 0; i < session.output(0).elements(); ++i) {
    const double v = load<double>(session.output(0), i);
    EXPECT_TRUE(std::isfinite(v));
    EXPECT_LE(std::fabs(v), 65504e-6 * 1.001);
    largest += std::fabs(v) > 65503e-6;
  }
  EXPECT_GT(largest, 0) << "some pass the largest half, and become it";
}
}  // namespace
}  // namespace engine::test
