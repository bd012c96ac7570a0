// Ops whose kernels read computed indices, keep a state or round their operands, on the device that the host emulates.
#include <dlfcn.h>
#include "engine/device.h"
#include "engine/passes/target.h"
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
                 kernels::Precision precision = kernels::Precision::f32,
                 std::vector<std::string> disabled_passes = {}) {
  CompileOptions device, reference;
  device.device = Device::open(backend_of_tests(), 0);
  device.precision = precision, device.disabled_passes = std::move(disabled_passes);
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
  for (const Plan* plan : got.frame().plans())
    for (const Step& step : plan->steps) {
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

TEST(DeviceOps, ARunThatCannotBeLaunchedLeavesNothingToTheNextOne) {
  if (backend_of_tests() != std::string_view(INLAY_CUDA_EMULATED))
    GTEST_SKIP() << "only the emulated device can be told to refuse a launch";
  Built b;
  const ValueId x = b.input({4, 3}), i = typed_input(b, DType::i64, {5});
  const ValueId y = b.r.add(schema::Gather{}, {x, i}, {"lookup"})[0];
  b.output(b.r.add(schema::Softmax{.axis = 1}, {y}, {"behind"})[0]);
  CompileOptions options;
  options.device = Device::open(backend_of_tests(), 0);
  void* const library = dlopen(INLAY_CUDA_EMULATED, RTLD_NOW);
  const auto refuse_behind = reinterpret_cast<void (*)(int64_t)>(dlsym(library, "inlay_emulated_refuse"));
  Session session(std::make_shared<const Model>(b.graph, options));
  const auto given = random_constant({4, 3}, 1), good = i64({5}, {0, 1, 2, 3, -4}), bad = i64({5}, {0, 1, 4, 3, -5});
  session.set_input(0, given->view()), session.set_input(1, good->view());
  for (const bool launches : {false, true, false, true, true}) {  // one by one, then recorded, then replayed
    session.set_input(1, (launches ? good : bad)->view());
    if (launches) {
      session.run();
      continue;
    }
    refuse_behind(1);  // the gather is launched
    try {
      session.run();
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code, Code::device) << error.what();
    }
  }
  dlclose(library);
}

// Of one to three spatial dims, in groups, with weights that are an input.
TEST(DeviceOps, ConvolutionsThatHaveNoChannelsLastForm) {
  using schema::AutoPad;
  const auto input = [](Built& b, const Shape& shape) { return typed_input(b, DType::f32, shape); };
  struct Case {
    Shape x, w;
    schema::Ints stride, dilation, pad;
    AutoPad auto_pad = AutoPad::none;
    int64_t groups = 1;
  };
  for (const auto& [x, w, stride, dilation, pad, auto_pad, groups] :
       {Case{{2, 3, 9}, {4, 3, 3}, {2}, {1}, {1, 0}},
        {{1, 4, 7, 6}, {6, 2, 3, 2}, {2, 1}, {1, 2}, {1, 0, 2, 1}, AutoPad::none, 2},
        {{1, 3, 8, 8}, {3, 1, 3, 3}, {2, 2}, {}, {}, AutoPad::same_upper, 3},
        {{1, 2, 5, 6, 4}, {3, 2, 2, 3, 2}, {1, 2, 1}, {2, 1, 1}, {0, 1, 0, 1, 1, 0}},
        {{1, 2, 5, 5, 5}, {2, 1, 3, 3, 3}, {2, 2, 2}, {}, {}, AutoPad::same_lower, 2}}) {
    Built b;
    b.output(b.r.add(schema::Conv{stride, dilation, pad, groups, auto_pad}, {input(b, x), input(b, w), input(b, {w[0]})},
                     {"conv"})[0]);
    expect_on_device(compare(b.graph, {random_constant(x, 1), random_constant(w, 2), random_constant({w[0]}, 3)}),
                     "conv_direct_f32_cuda");
    Built transposed;
    schema::ConvTranspose op;
    op.stride = stride, op.dilation = dilation, op.auto_pad = auto_pad, op.groups = groups;
    if (auto_pad == AutoPad::none) op.pad = pad;
    const Shape features{w[1] * groups};
    Shape back = x;
    back[1] = w[0];
    transposed.output(
        transposed.r.add(op, {input(transposed, back), input(transposed, w), input(transposed, features)}, {"back"})[0]);
    expect_on_device(
        compare(transposed.graph, {random_constant(back, 1), random_constant(w, 2), random_constant(features, 3)}),
        "conv_direct_f32_cuda");
  }
  // Constant weights, of more dims or groups than tiles take.
  Built b;
  b.output(b.r.add(schema::Conv{}, {b.input({1, 2, 4, 4, 4}), b.constant({3, 2, 2, 2, 2}, 1)}, {"conv"})[0]);
  schema::ConvTranspose op;
  op.groups = 4, op.stride = {2, 2}, op.output_padding = {1, 0};
  b.output(b.r.add(op, {b.input({1, 4, 5, 6}), b.constant({4, 1, 4, 4}, 1)}, {"up"})[0]);
  expect_on_device(compare(b.graph, {random_constant({1, 2, 4, 4, 4}, 1), random_constant({1, 4, 5, 6}, 2)}),
                   "conv_direct_f32_cuda");
}

TEST(DeviceOps, PoolsThatHaveNoChannelsLastForm) {
  using schema::AutoPad, schema::PoolKind;
  for (const auto kind : {PoolKind::max, PoolKind::average, PoolKind::lp})
    for (const bool count_pad : {false, true}) {
      Built b;
      schema::Pool line{kind, {3}, {2}, {}, {1, 1}}, image{kind, {3, 2}, {2, 2}, {1, 2}, {1, 0, 1, 1}},
          volume{kind, {2, 3, 2}, {2, 1, 2}, {}, {}}, same{kind, {3, 3}, {2, 2}, {}, {}, AutoPad::same_upper};
      line.count_pad = image.count_pad = volume.count_pad = same.count_pad = count_pad && kind == PoolKind::average;
      image.ceil_mode = true, volume.p = 3;
      b.output(b.r.add(line, {b.input({2, 3, 11})}, {"line"})[0]);
      b.output(b.r.add(image, {b.input({1, 3, 8, 9})}, {"image"})[0]);
      b.output(b.r.add(volume, {b.input({1, 2, 5, 6, 7})}, {"volume"})[0]);
      b.output(b.r.add(same, {b.input({1, 2, 8, 7})}, {"same"})[0]);
      expect_on_device(compare(b.graph, {random_constant({2, 3, 11}, 1), random_constant({1, 3, 8, 9}, 2),
                                         random_constant({1, 2, 5, 6, 7}, 3), random_constant({1, 2, 8, 7}, 4)}),
                       "pool_direct_cuda");
    }
  for (const bool column_major : {false, true}) {
    Built b;
    schema::Pool op{PoolKind::max, {2, 2}, {2, 1}, {}, {1, 0, 0, 0}};
    op.column_major = column_major;
    const auto y = b.r.add(op, {b.input({2, 2, 5, 4})}, {"places"}, 2);
    b.output(y[0]), b.output(y[1]);
    const ValueId bytes = typed_input(b, DType::u8, {1, 1, 3, 3});
    b.output(b.r.add(schema::Pool{PoolKind::max, {2, 2}, {}, {}, {}}, {bytes}, {"bytes"})[0]);
    expect_on_device(compare(b.graph, {random_constant({2, 2, 5, 4}, 5),
                                       tensor(DType::u8, {1, 1, 3, 3}, {200, 1, 7, 3, 255, 0, 9, 8, 128})}),
                     "pool_direct_cuda");
  }
}

TEST(DeviceOps, ProductsOfVectors) {
  Built b;
  const ValueId row = b.input({6}), column = b.input({5}), stack = b.input({2, 3, 5});
  b.output(b.r.add(schema::MatMul{}, {row, b.constant({6, 5}, 1)}, {"row"})[0]);
  b.output(b.r.add(schema::MatMul{}, {stack, column}, {"column"})[0]);
  b.output(b.r.add(schema::MatMul{}, {column, column}, {"both"})[0]);
  b.output(b.r.add(schema::MatMul{}, {column, b.input({4, 5, 2})}, {"stack"})[0]);
  expect_on_device(compare(b.graph, {random_constant({6}, 1), random_constant({5}, 2), random_constant({2, 3, 5}, 3),
                                     random_constant({4, 5, 2}, 4)}),
                   "gemm_f32_cuda");
}

// Whatever the host has for bytes: a device multiplies them as floats, which have all of these sums.
TEST(DeviceOps, ProductsOfBytes) {
  Built b;
  const auto number = [&](DType dtype, double v) { return b.graph.add_constant(tensor(dtype, {}, {v})); };
  std::vector<double> bytes(64 * 16), biases(16);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = double(i * 37 % 255) - 127;
  for (size_t i = 0; i < biases.size(); ++i) biases[i] = double(i * 100) - 700;
  const ValueId x = b.r.add(schema::QuantizeLinear{DType::u8},
                            {b.input({4, 64}), number(DType::f32, 0.02), number(DType::u8, 120)}, {"quantise"})[0];
  const ValueId w = b.graph.add_constant(tensor(DType::i8, {64, 16}, bytes)),
                bias = b.graph.add_constant(tensor(DType::i32, {16}, biases));
  b.output(
      b.r.add(schema::QuantizedMatMul{.to = DType::u8},
              {x, w, number(DType::u8, 120), ValueId::none, bias, number(DType::f32, 0.001), number(DType::u8, 128)},
              {"product"})[0]);
  b.output(b.r.add(schema::QuantizedMatMul{}, {x, w, number(DType::u8, 120)}, {"sums"})[0]);
  expect_on_device(compare(b.graph, {random_constant({4, 64}, 1)}, 0), "gemm_f32_cuda");
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

TEST(DeviceOps, RegionsOfInterest) {
  for (const auto kind : {schema::PoolKind::average, schema::PoolKind::max})
    for (const int64_t samples : {0, 1, 3})
      for (const bool half_pixel : {false, true}) {
        SCOPED_TRACE(cat(schema::name(kind), ' ', samples, ' ', half_pixel));
        Built b;
        const ValueId x = b.input({2, 3, 9, 12}), rois = b.input({7, 4}), images = typed_input(b, DType::i64, {7});
        b.output(b.r.add(schema::RoiAlign{kind, 3, 5, samples, 0.5, half_pixel}, {x, rois, images}, {"align"})[0]);
        // inside; beyond each border; without extent; turned round; far away; not finite; as large as there are no
        // samples for
        const auto regions = f32({7, 4}, {2, 3, 17,  15,  -9,  -5,  40,  30, 8, 8, 8,     8,     15,   12,
                                          3, 2, 500, 500, 900, 900, NAN, 0,  5, 5, -1e30, -1e30, 1e30, 1e30});
        expect_on_device(
            compare(b.graph, {random_constant({2, 3, 9, 12}, 1), regions, i64({7}, {0, 1, 1, 0, 0, 1, 1})}),
            "roi_align_cuda");
      }
  Built b;
  b.output(b.r.add(schema::RoiAlign{}, {b.input({1, 1, 4, 4}), b.input({2, 4}), typed_input(b, DType::i64, {2})},
                   {"align"})[0]);
  CompileOptions options;
  options.device = Device::open(backend_of_tests(), 0);
  Session session(std::make_shared<const Model>(b.graph, options));
  const auto x = random_constant({1, 1, 4, 4}, 1), rois = random_constant({2, 4}, 2), images = i64({2}, {0, 1});
  session.set_input(0, x->view()), session.set_input(1, rois->view()), session.set_input(2, images->view());
  EXPECT_THROW(session.run(), Error);
}

TEST(DeviceOps, AttentionWithAState) {
  using Rule = schema::LinearAttentionRule;
  constexpr int64_t batch = 2, kv_heads = 2, keys = 5;
  for (const auto rule : {Rule::linear, Rule::gated, Rule::delta, Rule::gated_delta})
    for (const int64_t length : {0, 1, 4})
      for (const int64_t values : {1, 31, 32, 33})
        for (const bool shared : {false, true}) {
          SCOPED_TRACE(cat(schema::name(rule), ' ', length, ' ', values, ' ', shared));
          const int64_t heads = shared ? 4 : 2;
          Built b;
          std::vector<ConstantPtr> given;
          const auto input = [&](const Shape& shape) {
            given.push_back(random_constant(shape, unsigned(given.size() + 1)));
            return typed_input(b, DType::f32, shape);
          };
          ValueIds in{input({batch, length, heads * keys}), input({batch, length, kv_heads * keys}),
                      input({batch, length, kv_heads * values})};
          in.push_back(shared ? input({batch, kv_heads, keys, values}) : ValueId::none);
          const bool gated = rule == Rule::gated || rule == Rule::gated_delta,
                     delta = rule == Rule::delta || rule == Rule::gated_delta;
          in.push_back(gated ? input({batch, length, shared ? kv_heads : kv_heads * keys}) : ValueId::none);
          in.push_back(delta ? input({batch, length, shared ? 1 : kv_heads}) : ValueId::none);
          for (ValueId v : b.r.add(schema::LinearAttention{heads, kv_heads, 0.5, rule}, in, {"attention"}, 2))
            b.output(v);
          expect_on_device(compare(b.graph, given), "linear_attention_f32_cuda");
        }
}

TEST(DeviceOps, CausalConvolutions) {
  for (const int64_t length : {1, 3, 70})
    for (const int64_t taps : {1, 2, 4})
      for (const bool past : {false, true}) {
        SCOPED_TRACE(cat(length, ' ', taps, ' ', past));
        Built b;
        ValueIds in{b.input({2, 3, length}), b.constant({3, 1, taps}), ValueId::none, ValueId::none};
        std::vector<ConstantPtr> given{random_constant({2, 3, length}, 1)};
        if (past)
          in[2] = b.constant({3}), in[3] = b.input({2, 3, taps - 1}),
          given.push_back(random_constant({2, 3, taps - 1}, 2));
        for (ValueId v : b.r.add(schema::CausalConvWithState{}, in, {"conv"}, 2)) b.output(v);
        expect_on_device(compare(b.graph, given), "causal_conv_f32_cuda");
      }
}

TEST(DeviceOps, Transforms) {
  const auto scalar = [](Built& b, int64_t value) { return b.graph.add_constant(make_scalar(DType::i64, value)); };
  for (const int64_t extent : {1, 6, 7})
    for (const int64_t n : {1, 5, 8, 9})
      for (const int64_t parts : {1, 2})
        for (const bool inverse : {false, true})
          for (const bool onesided : {false, true}) {
            if (onesided && (parts == 2) != inverse) continue;
            SCOPED_TRACE(cat(extent, ' ', n, ' ', parts, ' ', inverse, ' ', onesided));
            Built b;
            b.output(b.r.add(schema::Dft{inverse, onesided}, {b.input({2, 3, extent, parts}), scalar(b, n)},
                             {"transform"})[0]);
            expect_on_device(compare(b.graph, {random_constant({2, 3, extent, parts}, 1)}), "gemm_f32_cuda");
          }
  for (const int64_t step : {1, 5, 16})
    for (const bool window : {false, true}) {
      Built b;
      b.output(b.r.add(schema::Stft{},
                       {b.input({2, 60, 1}), scalar(b, step), window ? b.constant({16}) : ValueId::none, scalar(b, 16)},
                       {"frames"})[0]);
      expect_on_device(compare(b.graph, {random_constant({2, 60, 1}, 1)}), "gemm_f32_cuda");
    }
}

TEST(DeviceOps, ConvolutionsWhoseTapsAreMoved) {
  for (const int64_t groups : {1, 2})
    for (const int64_t offset_groups : {1, 2})
      for (const bool masked : {false, true}) {
        SCOPED_TRACE(cat(groups, ' ', offset_groups, ' ', masked));
        Built b;
        schema::DeformConv op;
        op.stride = {2, 1}, op.dilation = {1, 2}, op.pad = {1, 2, 0, 1}, op.groups = groups,
        op.offset_groups = offset_groups;
        const int64_t height = (9 + 1 - 3) / 2 + 1, width = 8 + 3 - 4;
        const Shape offsets{2, offset_groups * 3 * 3 * 2, height, width}, weights{2, offset_groups * 9, height, width};
        ValueIds in{b.input({2, 20, 9, 8}), b.constant({6, 20 / groups, 3, 3}), typed_input(b, DType::f32, offsets), ValueId::none,
                    ValueId::none};
        std::vector<ConstantPtr> given{random_constant({2, 20, 9, 8}, 1), random_constant(offsets, 2)};
        if (masked) in[3] = b.constant({6}), in[4] = typed_input(b, DType::f32, weights), given.push_back(random_constant(weights, 3));
        b.output(b.r.add(op, in, {"deform"})[0]);
        expect_on_device(compare(b.graph, given, 2e-5), "deform_conv_cuda");
      }
}

TEST(DeviceOps, ProductsByWeightsOfFewBits) {
  for (const int64_t rows : {1, 3, 20})
    for (const auto precision : {kernels::Precision::f32, kernels::Precision::f16}) {
      Built b;
      const ValueId x = b.r.add(schema::Unary{UnaryKind::tanh}, {b.input({rows, 64})}, {"tanh"})[0];
      std::vector<double> nibbles(40 * 64), zeros(40 * 2);
      for (size_t i = 0; i < nibbles.size(); ++i) nibbles[i] = double(i * 7 % 16);
      for (size_t i = 0; i < zeros.size(); ++i) zeros[i] = double(i * 5 % 16);
      const ValueId w = b.graph.add_constant(tensor(DType::u4, {40, 64}, nibbles)),
                    zero = b.graph.add_constant(tensor(DType::u4, {40, 2}, zeros));
      const ValueId y = b.r.add(schema::NarrowMatMul{32},
                                {x, w, b.graph.add_constant(random_constant({40, 2}, 3)), zero}, {"narrow"})[0];
      b.output(b.r.add(schema::Unary{UnaryKind::sigmoid}, {y}, {"sigmoid"})[0]);
      const bool f32 = precision == kernels::Precision::f32;
      expect_on_device(compare(b.graph, {random_constant({rows, 64}, 1)}, f32 ? 1e-5 : 1e-2, precision),
                       rows > 8 ? "gemm_narrow_cuda"
                       : f32    ? "gemm_narrow_rows_cuda"
                                : "gemm_narrow_rows_half_cuda");
    }
}

TEST(DeviceOps, MomentsOfANormalisation) {
  Built b;
  const ValueId x = b.input({4, 3, 20});
  for (ValueId v : b.r.add(schema::LayerNorm{.axis = 1}, {x, b.constant({3, 20}), b.constant({3, 20})}, {"norm"}, 3))
    b.output(v);
  expect_on_device(compare(b.graph, {random_constant({4, 3, 20}, 1)}), "norm_f32_cuda");
}

// What is found is cut to its number by the host, and what follows is planned for it.
TEST(DeviceOps, NonMaxSuppressionEndsASegment) {
  for (const bool center : {false, true})
    for (const int64_t most : {0, 1, 5, 60}) {
      SCOPED_TRACE(cat(center, ' ', most));
      Built b;
      const ValueId boxes = b.input({2, 50, 4}), scores = b.input({2, 3, 50});
      const auto scalar = [&](const ConstantPtr& value) { return b.graph.add_constant(value); };
      const ValueId found =
          b.r.add(schema::NonMaxSuppression{center},
                  {boxes, scores, scalar(make_ints({most})), scalar(f32({1}, {0.3})), scalar(f32({}, {-0.5}))},
                  {"suppress"})[0];
      b.output(found);
      b.output(b.r.add(schema::Gather{.axis = 1}, {found, scalar(make_ints({2}))}, {"boxes"})[0]);
      const auto c = compare(b.graph, {random_constant({2, 50, 4}, 1), random_constant({2, 3, 50}, 2)}, 0, kernels::Precision::f32, {weigh_copies});
      EXPECT_EQ(c.kernels, (std::vector<std::string>{"non_max_suppression_cuda", "gather_cuda"}));
      EXPECT_EQ(c.host, std::vector<std::string>{"Slice"});
    }
}
// Numbers that say how large results are, and that only the run knows.
TEST(DeviceOps, SizesThatTheRunGives) {
  Built b;
  schema::Resize linear;
  linear.mode = schema::ResizeMode::linear;
  const ValueId x = b.input({3, 4, 6}), axes = typed_input(b, DType::i64, {1}), k = typed_input(b, DType::i64, {1}),
                sizes = typed_input(b, DType::i64, {3}), depth = typed_input(b, DType::i64, {}),
                rows = typed_input(b, DType::i64, {2});
  b.output(b.r.add(schema::Reduce{ReduceKind::sum}, {x, axes}, {"reduce"})[0]);
  b.output(b.r.add(schema::TopK{.axis = 1}, {x, k}, {"top"}, 2)[1]);
  b.output(b.r.add(linear, {x, ValueId::none, ValueId::none, sizes},
                   {"resize"})[0]);
  b.output(b.r.add(schema::OneHot{}, {rows, depth, b.graph.add_constant(f32({2}, {0, 1}))}, {"one hot"})[0]);
  const auto c = compare(b.graph, {random_constant({3, 4, 6}, 1), i64({1}, {-1}), i64({1}, {3}), i64({3}, {3, 8, 12}),
                                   i64({}, {5}), i64({2}, {1, 4})});
  for (const char* kernel : {"reduce_f32_cuda", "top_k_cuda", "resize", "one_hot_cuda"}) expect_on_device(c, kernel);
}
TEST(DeviceOps, NonMaxSuppressionByWhatTheRunGives) {
  Built b;
  const ValueId boxes = b.input({1, 20, 4}), scores = b.input({1, 2, 20}), most = typed_input(b, DType::i64, {1}),
                limit = b.input({1});
  b.output(b.r.add(schema::NonMaxSuppression{}, {boxes, scores, most, limit}, {"suppress"})[0]);
  EXPECT_EQ(compare(b.graph,
                    {random_constant({1, 20, 4}, 1), random_constant({1, 2, 20}, 2), i64({1}, {3}), f32({1}, {0.4})}, 0, kernels::Precision::f32, {weigh_copies})
                .kernels,
            std::vector<std::string>{"non_max_suppression_cuda"});
  CompileOptions options;
  options.device = Device::open(backend_of_tests(), 0), options.disabled_passes = {weigh_copies};
  Session session(std::make_shared<const Model>(b.graph, options));
  const auto given = random_constant({1, 20, 4}, 1), score = random_constant({1, 2, 20}, 2), three = i64({1}, {3}),
             bad = f32({1}, {1.5});
  session.set_input(0, given->view()), session.set_input(1, score->view()), session.set_input(2, three->view()),
      session.set_input(3, bad->view());
  try {
    session.run();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "suppress: BoundedNonMaxSuppression: the IoU threshold is outside 0 to 1");
  }
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
