// Ops whose kernels read computed indices, keep a state or round their operands, on the device that the host emulates.
#include "engine/device.h"
#include "engine/session.h"
#include "tests/engine/compiled.h"
#include "tests/engine/op_case.h"

namespace engine::test {
namespace {
using schema::BinaryKind, schema::UnaryKind;

// Runs twice on the device, the second time as a replayed graph, and by references.
struct Compared {
  std::vector<std::string> kernels;  // of steps on the device, without copies
  std::vector<std::string> host;
};
Compared compare(const Graph& graph, const std::vector<ConstantPtr>& inputs, double tolerance = 1e-5,
                 kernels::Precision precision = kernels::Precision::f32) {
  CompileOptions device, reference;
  device.device = Device::open(INLAY_CUDA_EMULATED, 0);
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
  options.device = Device::open(INLAY_CUDA_EMULATED, 0);
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
    expect_on_device(c, "softmax_f32");
  }
  for (const std::string& kernel : compare(b.graph, inputs).kernels)
    for (const char* rounded : {"tf32", "_f16", "bf16"}) EXPECT_EQ(kernel.find(rounded), std::string::npos) << kernel;
}
}  // namespace
}  // namespace engine::test
