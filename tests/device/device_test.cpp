// Plans with steps on a device, which the host emulates: placement, copies, memory, replayed graphs.
#include "engine/device.h"
#include "engine/session.h"
#include "kernels/cuda/backend.h"
#include "kernels/os.h"
#include "tests/device/backend.h"
#include "tests/engine/compiled.h"

namespace engine::test {
namespace {
using schema::BinaryKind, schema::ReduceKind, schema::UnaryKind;

std::shared_ptr<Device> emulated() { return Device::open(backend_of_tests(), 0); }
CompileOptions on_device() {
  CompileOptions options;
  options.device = emulated();
  return options;
}

std::vector<ConstantPtr> inputs_of(const Graph& graph, unsigned seed) {
  std::vector<ConstantPtr> inputs;
  for (ValueId v : graph.inputs)
    inputs.push_back(random_constant(graph[v].type.shape(), seed + unsigned(inputs.size())));
  return inputs;
}
std::vector<ConstView> views_of(const std::vector<ConstantPtr>& inputs) {
  std::vector<ConstView> views;
  for (const ConstantPtr& x : inputs) views.push_back(x->view());
  return views;
}

struct Runner {
  explicit Runner(const Graph& graph, const CompileOptions& options)
      : cache(std::make_shared<PlanCache>(graph, options)) {
    run_options.pool = &pool, run_options.threads = 1;
    frame = std::make_unique<Frame>(cache, run_options);
  }
  kernels::ThreadPool pool{1};
  RunOptions run_options;
  std::shared_ptr<PlanCache> cache;
  std::unique_ptr<Frame> frame;
};

// Runs several times with new inputs, the later ones as replayed graphs, and compares with references; gives the steps.
std::vector<std::string> steps_on_device(const Graph& graph) {
  CompileOptions reference;
  reference.reference_only = true;
  Runner device(graph, on_device()), host(graph, reference);
  for (unsigned seed : {1u, 100u, 200u}) {
    const auto inputs = inputs_of(graph, seed);
    const auto want = host.frame->run(views_of(inputs)), got = device.frame->run(views_of(inputs));
    for (size_t k = 0; k < want.size(); ++k) {
      EXPECT_TRUE(std::ranges::equal(got[k].shape, want[k].shape));
      double largest = 1;  // what is small beside it is a sum of terms that are not
      for (int64_t i = 0; i < want[k].elements(); ++i) largest = std::max(largest, std::fabs(load<double>(want[k], i)));
      for (int64_t i = 0; i < want[k].elements(); ++i) {
        EXPECT_NEAR(load<double>(got[k], i), load<double>(want[k], i), 1e-5 * largest)
            << "seed " << seed << ", output " << k << ", element " << i;
        if (testing::Test::HasFailure()) return {};
      }
    }
  }
  const Plan& plan = *device.frame->plan();
  EXPECT_TRUE(valid(plan.memory, plan.buffers, arena_alignment));
  EXPECT_TRUE(valid(plan.device_memory, plan.device_buffers, arena_alignment));
  std::vector<std::string> steps;
  for (const Step& step : plan.steps)
    steps.push_back(cat(step.on_device ? "" : "host:", step.on_device ? step.kernel : schema::name(step.op.id())));
  return steps;
}

TEST(DevicePlan, AllOnTheDevice) {
  Built b;
  ValueId x = b.conv(b.input({1, 3, 12, 10}), 3, 20, 3);
  x = b.r.add(schema::Unary{UnaryKind::relu}, {x}, {"relu"})[0];
  x = b.conv(x, 20, 20, 3, 20);
  x = b.r.add(schema::Pool{schema::PoolKind::max, {2, 2}, {2, 2}, {}, {}}, {x}, {"pool"})[0];
  x = b.r.add(schema::Reduce{ReduceKind::mean}, {x, b.graph.add_constant(make_ints({2, 3}))}, {"mean"})[0];
  x = b.r.add(schema::Reshape{}, {x, b.graph.add_constant(make_ints({1, 20}))}, {"reshape"})[0];
  x = b.mat_mul(x, 20, 7);
  b.output(b.r.add(schema::Softmax{.axis = 1}, {x}, {"softmax"})[0]);
  EXPECT_THAT(steps_on_device(b.graph),
              testing::ElementsAre("upload", "grouped_f32_cuda", "grouped_f32_cuda", "pool_f32_cuda", "reduce_f32_cuda",
                                   "gemm_f32_cuda_64x64", "softmax_f32_cuda", "download"));
}

// Of an op that the device has no kernel for.
ValueId of_host(Built& b, ValueId x, const std::string& name) {
  return b.r.add(schema::Softmax{.kind = schema::SoftmaxKind::hardmax, .axis = 1}, {x}, {name})[0];
}

TEST(DevicePlan, AHostsStepInBetween) {
  Built b;
  const ValueId x = b.mat_mul(b.input({64, 64}), 64, 256);  // enough work to be worth the copies
  const ValueId sums = of_host(b, x, "sums");
  const ValueId y = b.mat_mul(sums, 256, 128);
  b.output(b.r.add(schema::Binary{BinaryKind::add}, {y, b.mat_mul(x, 256, 128)}, {"add"})[0]);
  const auto steps = steps_on_device(b.graph);
  EXPECT_EQ(count(steps, "upload"), 2) << "x is not copied back";
  EXPECT_EQ(count(steps, "download"), 2);
  EXPECT_EQ(count(steps, "host:Softmax"), 1);
}

// A loop whose body multiplies what it carries by a constant [n,n], so many times.
Graph powers(int64_t n, int64_t trips) {
  auto body = std::make_shared<Graph>();
  body->add_input("i", Type::scalar(DType::i64));
  const ValueId go = body->add_input("go", Type::scalar(DType::boolean)),
                x = body->add_input("x", Type::tensor(DType::f32, Shape{n, n}));
  Rewriter in_body(*body);
  const ValueId y =
      in_body.add(schema::MatMul{}, {x, body->add_constant(random_constant({n, n}, 5, 0.1))}, {"product"})[0];
  body->outputs = {{"go", go}, {"y", y}};
  Graph graph;
  Rewriter r(graph);
  const ValueId start = graph.add_input("x", Type::tensor(DType::f32, Shape{n, n}));
  graph.outputs = {
      {"y", r.add(schema::Loop{1}, {graph.add_constant(make_scalar(DType::i64, trips)), ValueId::none, start},
                  {"repeat"}, 1, {body})[0]}};
  return graph;
}
// Steps on the device in all plans of a session, after two runs that give what references do.
size_t device_steps(const Graph& graph) {
  CompileOptions reference;
  reference.reference_only = true;
  Session session(std::make_shared<const Model>(graph, on_device())),
      host(std::make_shared<const Model>(graph, reference));
  const auto inputs = inputs_of(graph, 9);
  session.set_input(0, inputs[0]->view()), host.set_input(0, inputs[0]->view());
  host.run();
  for (int run = 0; run < 2; ++run) {
    session.run();
    for (int64_t i = 0; i < host.output(0).elements(); ++i)
      EXPECT_NEAR(load<double>(session.output(0), i), load<double>(host.output(0), i), 1e-4);
  }
  size_t count = 0;
  for (const Plan* plan : session.frame().plans())
    count += size_t(std::ranges::count_if(plan->steps, &Step::on_device));
  return count;
}
TEST(DevicePlan, BodiesRunThereWhereTheirWorkIsWorthTheCopies) {
  EXPECT_EQ(device_steps(powers(96, 4)), 3u) << "1.8 million operations: upload, product, download";
  EXPECT_EQ(device_steps(powers(16, 4)), 0u);
}

TEST(DevicePlan, LittleWorkBetweenTheHostsStepsStaysThere) {
  Built b;
  ValueId x = of_host(b, b.input({4, 4}), "first");
  x = b.r.add(schema::Unary{UnaryKind::relu}, {x}, {"relu"})[0];
  b.output(of_host(b, x, "second"));
  EXPECT_THAT(steps_on_device(b.graph), testing::ElementsAre("host:Softmax", "host:Unary", "host:Softmax"));
}

TEST(DevicePlan, OutputsThatAreInputsConstantsOrShapesOfOthers) {
  Built b;
  const ValueId x = b.input({2, 6}), y = b.r.add(schema::Unary{UnaryKind::exp}, {x}, {"exp"})[0];
  b.output(x);
  b.output(b.constant({3}));
  b.output(y);
  b.output(b.r.add(schema::Reshape{}, {y, b.graph.add_constant(make_ints({3, 4}))}, {"reshape"})[0]);
  b.output(y);
  const auto steps = steps_on_device(b.graph);
  EXPECT_EQ(count(steps, "upload"), 1);
  EXPECT_EQ(count(steps, "pointwise_f32_cuda"), 1);
}

TEST(DevicePlan, MovementAndBroadcasts) {
  Built b;
  const ValueId x = b.input({2, 3, 8, 10}), y = b.input({3, 1, 10});
  const auto ints = [&](std::initializer_list<int64_t> v) { return b.graph.add_constant(make_ints(v)); };
  const ValueId t = b.r.add(schema::Transpose{{0, 2, 3, 1}}, {x}, {"transpose"})[0];
  b.output(b.r.add(schema::Slice{}, {t, ints({6, 1}), ints({0, 9}), ints({1, 2}), ints({-2, 1})}, {"slice"})[0]);
  b.output(b.r.add(schema::Concat{.axis = 1}, {x, b.r.add(schema::Binary{BinaryKind::mul}, {x, y}, {"mul"})[0]},
                   {"concat"})[0]);
  b.output(b.r.add(schema::Expand{}, {y, ints({2, 3, 4, 10})}, {"expand"})[0]);
  b.output(b.r.add(schema::Tile{}, {y, ints({1, 2, 3})}, {"tile"})[0]);
  b.output(b.r.add(schema::Pad{}, {x, ints({0, 0, 1, 2, 0, 0, 3, 0})}, {"pad"})[0]);
  for (ValueId part : b.r.add(schema::Split{.axis = 3, .parts = 2}, {x}, {"split"}, 2)) b.output(part);
  const ValueId less = b.r.add(schema::Binary{BinaryKind::less}, {x, y}, {"less"})[0];
  b.output(b.r.add(schema::Where{}, {less, x, y}, {"where"})[0]);
  b.output(b.r.add(schema::Cast{DType::f32}, {less}, {"cast"})[0]);
  const auto steps = steps_on_device(b.graph);
  EXPECT_EQ(std::ranges::count_if(steps, [](const std::string& s) { return s.starts_with("host:"); }), 0);
}

TEST(DevicePlan, Norms) {
  Built b;
  const ValueId x = b.input({3, 5, 24});
  b.output(b.r.add(schema::LayerNorm{.axis = -1}, {x, b.constant({24}), b.constant({24})}, {"layer"})[0]);
  b.output(b.r.add(schema::LayerNorm{.axis = -1, .rms = true}, {x, b.constant({24})}, {"rms"})[0]);
  b.output(b.r.add(schema::GroupNorm{.groups = 5}, {x, b.constant({5}), b.constant({5})}, {"group"})[0]);
  const auto steps = steps_on_device(b.graph);
  EXPECT_EQ(count(steps, "norm_f32_cuda"), 3);
}

TEST(DevicePlan, BatchedProducts) {
  Built b;
  const ValueId q = b.input({2, 3, 9, 8}), k = b.input({2, 3, 11, 8}), v = b.input({1, 3, 11, 5});
  const ValueId scores = b.r.add(schema::MatMul{.trans_b = true}, {q, k}, {"scores"})[0];
  b.output(b.r.add(schema::MatMul{}, {b.r.add(schema::Softmax{.axis = -1}, {scores}, {"softmax"})[0], v}, {"mix"})[0]);
  const auto steps = steps_on_device(b.graph);
  EXPECT_EQ(count(steps, "gemm_f32_cuda_64x64"), 2);
}

TEST(DevicePlan, ResultsGoToTheCallersMemory) {
  Built b;
  b.output(b.r.add(schema::Unary{UnaryKind::neg}, {b.input({100})}, {"neg"})[0]);
  Runner runner(b.graph, on_device());
  const auto inputs = inputs_of(b.graph, 1);
  std::vector<float> memory(100);
  for (int turn = 0; turn < 3; ++turn) {
    runner.frame->redirect(0, reinterpret_cast<std::byte*>(memory.data()), 400);
    const auto out = runner.frame->run(views_of(inputs));
    EXPECT_EQ(static_cast<const void*>(out[0].data), memory.data());
    EXPECT_EQ(memory[7], -load<double>(inputs[0]->view(), 7));
    std::ranges::fill(memory, 0.f);
  }
}

// What memory of the device holds; the emulation's is closed to the host.
std::vector<float> fetched(const DeviceMemory& memory) {
  std::vector<float> values(memory.size() / sizeof(float));
  emulated()->download(values.data(), memory.data(), memory.size());
  return values;
}
DeviceMemory placed(const ConstantPtr& x) {
  DeviceMemory memory(emulated(), size_t(x->bytes()));
  emulated()->upload(memory.data(), x->data, memory.size());
  return memory;
}

TEST(DeviceSession, ReadsAndWritesInPlace) {
  Built b;
  const ValueId x = b.input({64, 32}), y = b.r.add(schema::Unary{UnaryKind::relu}, {b.mat_mul(x, 32, 16)}, {"relu"})[0];
  b.output(y);
  const auto model = std::make_shared<const Model>(b.graph, on_device());
  const ConstantPtr given = random_constant({64, 32}, 3), other = random_constant({64, 32}, 4);
  Session on_host(model), session(model);
  const DeviceMemory in = placed(given), second = placed(other), out(emulated(), 64 * 16 * 4);
  for (int turn = 0; turn < 4; ++turn) {  // recorded, replayed, and recorded again for another address
    const bool first = turn < 2;
    on_host.set_input(0, (first ? given : other)->view());
    on_host.run();
    session.set_device_input(0, {DType::f32, given->shape, (first ? in : second).data(), nullptr});
    session.set_device_output(0, {DType::f32, on_host.output(0).shape, out.data(), nullptr});
    session.run();
    EXPECT_EQ(session.output(0).data, out.data());
    const auto got = fetched(out);
    EXPECT_EQ(std::memcmp(got.data(), on_host.output(0).data, out.size()), 0) << turn;
    EXPECT_EQ(std::memcmp(fetched(in).data(), given->data, in.size()), 0) << "the input stays";
  }
  EXPECT_THROW(session.set_device_input(0, {DType::f32, given->shape, in.data() + 2, nullptr}), Error)
      << "kernels read whole elements";
  EXPECT_THROW(session.set_device_output(0, {DType::f32, on_host.output(0).shape, out.data() + 1, nullptr}), Error);
  session.set_input(0, given->view());  // and back to the host
  session.set_output(0, {});
  session.run();
  on_host.set_input(0, given->view());
  on_host.run();
  EXPECT_EQ(std::memcmp(session.output(0).data, on_host.output(0).data, out.size()), 0);
}

TEST(DeviceSession, AnInputThatAStepWouldOverwriteIsCopiedThere) {
  Built b;
  b.output(b.r.add(schema::Unary{UnaryKind::neg}, {b.input({100})}, {"neg"})[0]);
  const auto model = std::make_shared<const Model>(b.graph, on_device());
  const ConstantPtr given = random_constant({100}, 3);
  const DeviceMemory in = placed(given), out(emulated(), 400);
  Session session(model);
  session.set_device_input(0, {DType::f32, given->shape, in.data(), nullptr});
  session.set_device_output(0, {DType::f32, given->shape, out.data(), nullptr});
  for (int turn = 0; turn < 2; ++turn) {
    session.run();
    const auto got = fetched(out), kept = fetched(in);
    for (int64_t i = 0; i < 100; ++i) {
      ASSERT_EQ(got[size_t(i)], -load<double>(given->view(), i));
      ASSERT_EQ(kept[size_t(i)], load<double>(given->view(), i));
    }
  }
}

TEST(DeviceSession, WhatTheHostReadsAndMakesIsCopied) {
  Built b;
  const ValueId x = b.input({4, 6});
  const ValueId sums = of_host(b, x, "sums");
  b.output(sums);
  b.output(x);
  const auto model = std::make_shared<const Model>(b.graph, on_device());
  const ConstantPtr given = random_constant({4, 6}, 3);
  const DeviceMemory in = placed(given), out(emulated(), 96);
  Session session(model);
  session.set_device_input(0, {DType::f32, given->shape, in.data(), nullptr});
  session.set_device_output(0, {DType::f32, given->shape, out.data(), nullptr});
  session.run();
  EXPECT_EQ(std::memcmp(session.output(1).data, given->data, 96), 0);
  const auto got = fetched(out);
  int64_t best = 0;
  for (int64_t i = 1; i < 6; ++i) best = load<double>(given->view(), i) > load<double>(given->view(), best) ? i : best;
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(got[size_t(i)], float(i == best));
}

// A result that the host reads too is brought there, and back.
TEST(DeviceSession, AResultOfBothSides) {
  Built b;
  const ValueId y = b.mat_mul(b.input({64, 64}), 64, 256);
  b.output(y);
  b.output(of_host(b, y, "sums"));
  const auto model = std::make_shared<const Model>(b.graph, on_device());
  const ConstantPtr given = random_constant({64, 64}, 3);
  const DeviceMemory in = placed(given), out(emulated(), 64 * 256 * 4);
  Session session(model), on_host(model);
  session.set_device_input(0, {DType::f32, given->shape, in.data(), nullptr});
  on_host.set_input(0, given->view());
  on_host.run();
  session.set_device_output(0, {DType::f32, on_host.output(0).shape, out.data(), nullptr});
  for (int turn = 0; turn < 2; ++turn) {
    session.run();
    const auto got = fetched(out);
    EXPECT_EQ(std::memcmp(got.data(), on_host.output(0).data, out.size()), 0);
    EXPECT_EQ(std::memcmp(session.output(1).data, on_host.output(1).data, out.size()), 0);
  }
}

TEST(DeviceSession, WithoutADeviceThereIsNoMemoryOfIt) {
  Built b;
  b.output(b.r.add(schema::Unary{UnaryKind::neg}, {b.input({100})}, {"neg"})[0]);
  Session session(std::make_shared<const Model>(b.graph, CompileOptions()));
  const ConstantPtr given = random_constant({100}, 3);
  EXPECT_THROW(session.set_device_input(0, given->view()), Error);
  EXPECT_THROW(session.set_device_output(0, {}), Error);
  EXPECT_THROW(session.set_stream(nullptr), Error);
}

TEST(DeviceSession, RunsInTheApplicationsStream) {
  Built b;
  b.output(b.r.add(schema::Unary{UnaryKind::neg}, {b.input({100})}, {"neg"})[0]);
  Session session(std::make_shared<const Model>(b.graph, on_device()));
  const ConstantPtr given = random_constant({100}, 3);
  session.set_input(0, given->view());
  session.run();
  kernels::cuda::Stream* stream = nullptr;
  require_done(emulated()->driver().make_stream(0, &stream));
  session.set_stream(stream);
  for (int turn = 0; turn < 2; ++turn) session.run();
  EXPECT_EQ(load<double>(session.output(0), 5), -load<double>(given->view(), 5));
  session.set_stream(nullptr);
  session.run();
  EXPECT_EQ(load<double>(session.output(0), 5), -load<double>(given->view(), 5));
  emulated()->driver().end_stream(stream);
}

TEST(DevicePlan, WeightsAreUploadedOnce) {
  Built b;
  b.output(b.mat_mul(b.input({2, 16}), 16, 16));
  const ConstantPtr weights = b.graph[b.graph.nodes[0].inputs[1]].constant;
  const auto upload = [&] {
    return device_weight(emulated(), *weights, "as it is", 1024,
                         [&](std::byte* to) { std::memcpy(to, weights->data, 1024); });
  };
  const auto first = upload();
  EXPECT_EQ(first, upload());
  Runner one(b.graph, on_device()), two(b.graph, on_device());
  one.frame->run(views_of(inputs_of(b.graph, 1))), two.frame->run(views_of(inputs_of(b.graph, 1)));
  EXPECT_GE(first.use_count(), 1);
}

TEST(DevicePlan, MemoryOfTheDeviceCounts) {
  Built b;
  const ValueId x = b.input({256, 256});
  b.output(b.r.add(schema::Softmax{.axis = -1}, {b.mat_mul(x, 256, 1024)}, {"softmax"})[0]);
  const ConstantPtr given = random_constant({256, 256}, 1);
  for (const auto& [most, fits] :
       {std::pair(int64_t{16} << 20, true), {int64_t{3} << 20, false}}) {  // 1 MiB of weights, as many of results
    CompileOptions options = on_device();
    options.max_memory_bytes = most;
    Session session(std::make_shared<const Model>(b.graph, options));
    session.set_input(0, given->view());
    if (fits) session.run();
    else EXPECT_THROW(session.run(), Error);
  }
}

TEST(DevicePlan, SaysWhyAStepIsNotThere) {
  Built b;
  const ValueId x = b.mat_mul(b.input({64, 64}), 64, 256);
  b.output(of_host(b, x, "sums"));
  CompileOptions options = on_device();
  options.keep_refusals = true;
  const Plan plan = compile(b.graph, input_types(b.graph), options);
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    if (plan.steps[s].on_device) continue;
    ASSERT_FALSE(plan.refusals[s].empty());
    EXPECT_EQ(plan.refusals[s][0].reason, "no fast form of hardmax");
  }
}

TEST(DevicePlan, StepsAreTimed) {
  Built b;
  b.output(b.r.add(schema::Unary{UnaryKind::neg}, {b.input({100})}, {"neg"})[0]);
  Runner runner(b.graph, on_device());
  std::vector<std::string> seen;
  runner.run_options.observer = [&](const Plan& plan, size_t step, double seconds, const RunContext&) {
    EXPECT_GE(seconds, 0);
    seen.emplace_back(plan.steps[step].kernel);
  };
  const auto inputs = inputs_of(b.graph, 1);
  const auto out = runner.frame->run(views_of(inputs));
  EXPECT_THAT(seen, testing::ElementsAre("upload", "pointwise_f32_cuda", "download"));
  EXPECT_EQ(load<double>(out[0], 3), -load<double>(inputs[0]->view(), 3));
}

void expect_unsupported(const std::string& library, const std::string& text) {
  try {
    Device::open(library, 0);
    ADD_FAILURE() << "opened " << library;
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::unsupported);
    EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
  }
}

TEST(Device, SaysWhatIsMissing) {
  expect_unsupported("/nowhere/libinlay_cuda.so", "/nowhere/libinlay_cuda.so");
  expect_unsupported("libc.so.6", "inlay_cuda_backend");
#ifdef INLAY_CUDA_BACKEND
  try {
    EXPECT_GE(Device::open(INLAY_CUDA_BACKEND, 0)->sm(), 80);
  } catch (const Error& e) {  // of a machine without a GPU
    EXPECT_EQ(e.code, Code::unsupported);
    EXPECT_NE(std::string(e.what()).find("there is no CUDA device: "), std::string::npos) << e.what();
  }
#endif
}

TEST(Device, IsOpenedOnce) {
  EXPECT_EQ(emulated(), emulated());
  if (emulated()->name() != "emulated") GTEST_SKIP() << "a machine may have several devices";
  try {
    Device::open(backend_of_tests(), 1);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::invalid_argument);
    EXPECT_STREQ(e.what(), "there is no CUDA device 1; there is 1");
  }
}
}  // namespace
}  // namespace engine::test
