// The C ABI and the C++ header over it, as an app meets them: linked to the shared library alone.
#include <filesystem>
#include <gmock/gmock.h>
#include <inlay/inlay.hpp>
#include "engine/image_spec.h"
#include "tests/api/custom_ops.h"
#include "tests/api/models.h"
#include "tests/count_allocations.h"

namespace test {
namespace {
using namespace std::chrono_literals;
using testing::HasSubstr, testing::ElementsAre;

struct File : TempFile {
  explicit File(const Graph& graph, const std::string& name = "model.inlay") : TempFile(name) { save_model(graph, path()); }
};
inlay::Model model_of(const Graph& graph, const inlay::ModelOptions& options = {}) { return inlay::Model::load(File(graph).path(), options); }
std::vector<float> floats(const inlay::TensorView& t) { return {t.as<float>(), t.as<float>() + t.elements()}; }
template <class F> inlay::Error error_of(F&& f) {
  try {
    f();
  } catch (const inlay::Error& e) {
    return e;
  }
  return {INLAY_OK, "no error"};
}
#define EXPECT_FAILS(STATUS, WORDS, ...)                            \
  do {                                                              \
    const inlay::Error e = error_of([&] { __VA_ARGS__; });          \
    EXPECT_EQ(e.status(), STATUS) << e.what();                      \
    EXPECT_THAT(e.what(), HasSubstr(WORDS));                        \
  } while (0)

TEST(Api, SaysItsVersionAndNames) {
  EXPECT_EQ(inlay_version(), uint32_t(INLAY_VERSION_MAJOR << 16 | INLAY_VERSION_MINOR << 8 | INLAY_VERSION_PATCH));
  EXPECT_EQ(inlay_version_string(), cat(INLAY_VERSION_MAJOR, ".", INLAY_VERSION_MINOR, ".", INLAY_VERSION_PATCH));
  EXPECT_STREQ(inlay_status_name(INLAY_TIMEOUT), "timeout");
  EXPECT_STREQ(inlay_status_name(INLAY_DEVICE_FAILED), "device_failed");
  EXPECT_STREQ(inlay_status_name(99), "unknown");
  EXPECT_STREQ(inlay_dtype_name(INLAY_BF16), "bf16");
  EXPECT_EQ(inlay_dtype_name(24), nullptr);
  EXPECT_EQ(inlay_dtype_name(-1), nullptr);
  EXPECT_EQ(inlay_device_available(INLAY_CPU), 1);
}

TEST(Api, DescribesInputsAndOutputs) {
  const inlay::Model model = model_of(two_outputs(), {.bounds = {{"n", 100}}});
  ASSERT_EQ(model.inputs(), 1u);
  ASSERT_EQ(model.outputs(), 2u);
  const inlay_value_info x = model.input(0);
  EXPECT_STREQ(x.name, "x");
  EXPECT_EQ(x.kind, INLAY_TENSOR);
  EXPECT_EQ(x.dtype, INLAY_F32);
  ASSERT_EQ(x.rank, 2);
  EXPECT_EQ(x.shape[0], -1);
  EXPECT_EQ(x.shape[1], 3);
  EXPECT_STREQ(x.symbols[0], "n");
  EXPECT_STREQ(x.symbols[1], "");
  EXPECT_EQ(x.upper[0], 100);
  EXPECT_THAT(x.text, HasSubstr("f32["));
  EXPECT_STREQ(model.output(1).name, "s");
  EXPECT_EQ(model.find_output("s"), 1u);
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "'t'; the model has: y, s", model.find_output("t"));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "there is no input 1", model.input(1));
}

TEST(Api, RunsWithoutCopyOrAllocation) {
  inlay::Session session(model_of(two_outputs()));
  std::vector<float> x{1, 2, 3}, s(3);
  session.set_output("s", inlay::view(s, {1, 3}));
  auto out = session.run({{"x", inlay::view(x, {1, 3})}});
  EXPECT_THAT(floats(out["y"]), ElementsAre(-1, -2, -3));
  EXPECT_THAT(s, ElementsAre(2, 4, 6));
  EXPECT_EQ(out["s"].data(), s.data());
  EXPECT_EQ(out[0].shape(), (inlay::Shape{1, 3}));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "f32", out[0].as<int64_t>());
  x = {4, 5, 6};  // is read in place
  const int64_t before = allocations;
  ASSERT_EQ(inlay_session_run(session.c(), nullptr), INLAY_OK);
  EXPECT_EQ(allocations, before);
  EXPECT_THAT(floats(session.output(0)), ElementsAre(-4, -5, -6));
  EXPECT_GT(session.memory().arena_bytes, 0);
  EXPECT_GE(session.memory().arena_bytes, session.memory().arena_lower_bound_bytes);
}

TEST(Api, ErrorsNameWhatIsWrongAndLeaveTheSessionUsable) {
  EXPECT_FAILS(INLAY_IO, "/no/such/model.inlay", inlay::Model::load("/no/such/model.inlay"));
  const inlay::Model model = model_of(two_outputs());
  inlay::Session session(model);
  std::vector<float> x{1, 2, 3};
  std::vector<int64_t> wrong{1, 2, 3};
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "input 'x' (f32", session.run());
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "no run has given", session.output(0));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "'x' is i64[1,3] where the model declares f32[n,3]", session.run({{0, inlay::view(wrong, {1, 3})}}));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "there is no input 7", session.set_input(7, inlay::view(x, {3})));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "negative", session.set_input(0, inlay::TensorView(x.data(), {-1, 3}, inlay::DType::f32)));
  EXPECT_FAILS(INLAY_LIMIT, "", session.set_input(0, inlay::TensorView(x.data(), {int64_t{1} << 62, 3}, inlay::DType::f32)));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "no data", session.set_input(0, inlay::TensorView(nullptr, {1, 3}, inlay::DType::f32)));
  inlay_tensor t{x.data(), nullptr, 33, INLAY_F32};
  EXPECT_EQ(inlay_session_set_input(session.c(), 0, &t), INLAY_INVALID_ARGUMENT);
  t.rank = 0, t.dtype = 1000;
  EXPECT_EQ(inlay_session_set_input(session.c(), 0, &t), INLAY_INVALID_ARGUMENT);
  EXPECT_THAT(inlay_error(), HasSubstr("1000"));
  std::vector<float> small(2);
  session.set_output("y", inlay::view(small, {2}));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "does not fit", session.run({{0, inlay::view(x, {1, 3})}}));
  ASSERT_EQ(inlay_session_set_output(session.c(), 0, nullptr), INLAY_OK);
  EXPECT_THAT(floats(session.run({{0, inlay::view(x, {1, 3})}})["y"]), ElementsAre(-1, -2, -3));
}

TEST(Api, NullIsAnErrorEverywhere) {
  inlay_model* model = nullptr;
  EXPECT_EQ(inlay_model_load(nullptr, nullptr, &model), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(inlay_model_load("x", nullptr, nullptr), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(inlay_model_load_memory(nullptr, 0, nullptr, nullptr, nullptr, &model), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(model, nullptr);
  EXPECT_EQ(inlay_model_input(nullptr, 0, nullptr), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(inlay_model_input_count(nullptr), 0u);
  EXPECT_EQ(inlay_session_create(nullptr, nullptr, nullptr), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(inlay_session_run(nullptr, nullptr), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(inlay_session_run_async(nullptr, nullptr, nullptr, nullptr), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(inlay_session_wait(nullptr), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(inlay_value_create_tensor(nullptr, nullptr), INLAY_INVALID_ARGUMENT);
  EXPECT_EQ(inlay_value_count(nullptr), 0u);
  EXPECT_EQ(inlay_tensor_bytes(nullptr), -1);
  inlay_session_cancel(nullptr);
  inlay_model_retain(nullptr), inlay_model_release(nullptr), inlay_session_release(nullptr), inlay_pool_release(nullptr);
  inlay_value_release(nullptr);
}

TEST(Api, OptionsOfOlderAndNewerCallers) {
  const File file(two_outputs());
  struct Newer {
    inlay_model_options options = INLAY_MODEL_OPTIONS_INIT;
    int64_t field = 0;
  } newer;
  newer.options.struct_size = sizeof newer;
  inlay_model* model = nullptr;
  ASSERT_EQ(inlay_model_load(file.path().c_str(), &newer.options, &model), INLAY_OK) << inlay_error();
  inlay_model_release(model);
  newer.field = 1;
  EXPECT_EQ(inlay_model_load(file.path().c_str(), &newer.options, &model), INLAY_UNSUPPORTED);
  inlay_model_options zero{};
  EXPECT_EQ(inlay_model_load(file.path().c_str(), &zero, &model), INLAY_INVALID_ARGUMENT);
  EXPECT_THAT(inlay_error(), HasSubstr("struct_size"));
}

TEST(Api, ModelOptions) {
  const File file(two_outputs());
  const auto load = [&](const inlay::ModelOptions& o) { return inlay::Model::load(file.path(), o); };
  setenv("INLAY_CUDA_LIBRARY", "/nowhere/libinlay_cuda.so", 1);  // as on a machine without the backend
  EXPECT_FAILS(INLAY_UNSUPPORTED, "/nowhere/libinlay_cuda.so", load({.device = INLAY_CUDA}));
  EXPECT_EQ(inlay_device_available(INLAY_CUDA), 0);
  EXPECT_THAT(inlay_error(), HasSubstr("/nowhere/libinlay_cuda.so"));
  load({.device = INLAY_CUDA, .device_fallback = true});
  unsetenv("INLAY_CUDA_LIBRARY");
  EXPECT_EQ(inlay_device_available(9), 0);
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "device 9", load({.device = 9}));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "'mmx'", load({.max_isa = "mmx"}));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "'m'", load({.bounds = {{"m", 4}}}));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "the model has: x", load({.states = {{"z", "y"}}}));
  std::vector<float> x(300);
  inlay::Session small(load({.max_arena_bytes = 2000}));
  EXPECT_FAILS(INLAY_LIMIT, "2000", small.run({{0, inlay::view(x, {100, 3})}}));
  small.run({{0, inlay::view(x.data(), {10, 3})}});
  inlay::Session scalar(load({.max_isa = "scalar"}));
  int other = 0;
  scalar.set_profiler([&](const inlay_step& step) { other += std::string_view(step.kernel).find("avx") != std::string_view::npos; });
  scalar.run({{0, inlay::view(x, {100, 3})}});
  EXPECT_EQ(other, 0);
}

TEST(Api, TuneCacheThatCannotBeFollowed) {
  const File file(two_outputs());
  const std::string path = file.path() + ".tune";
  const auto load = [&](const char* text) {
    std::ofstream(path) << text;
    return inlay::Model::load(file.path(), {.tune_cache = path});
  };
  EXPECT_THAT(load("inlay-tune 1\nmachine of another kind\n").note(), HasSubstr("of another kind"));
  EXPECT_FAILS(INLAY_INVALID_MODEL, "not a tune cache", load("x"));
  std::filesystem::remove(path);
  EXPECT_FAILS(INLAY_IO, path.c_str(), inlay::Model::load(file.path(), {.tune_cache = path}));
  EXPECT_EQ(inlay::Model::load(file.path()).note(), "");
}

TEST(Api, LoadsFromMemory) {
  const std::string bytes = bytes_of_file(File(one_weight()).path());
  alignas(64) static std::byte aligned[1 << 16];
  ASSERT_LE(bytes.size() + 1, sizeof aligned);
  int released = 0;
  const auto release = [](void* user) { ++*static_cast<int*>(user); };
  for (const bool odd : {false, true}) {
    std::byte* at = aligned + odd;
    std::memcpy(at, bytes.data(), bytes.size());
    released = 0;
    inlay_model* model = nullptr;
    ASSERT_EQ(inlay_model_load_memory(at, bytes.size(), release, &released, nullptr, &model), INLAY_OK) << inlay_error();
    EXPECT_EQ(released, odd);  // an unaligned file is copied
    inlay_session* session = nullptr;
    ASSERT_EQ(inlay_session_create(model, nullptr, &session), INLAY_OK);
    inlay_model_release(model);
    EXPECT_EQ(released, odd);  // the session lives on
    std::vector<float> x(1000, 4);
    const int64_t shape[2] = {1, 1000};
    const inlay_tensor t{x.data(), shape, 2, INLAY_F32};
    EXPECT_EQ(inlay_session_set_input(session, 0, &t), INLAY_OK);
    EXPECT_EQ(inlay_session_run(session, nullptr), INLAY_OK);
    inlay_tensor y;
    ASSERT_EQ(inlay_session_output(session, 0, &y), INLAY_OK);
    EXPECT_EQ(static_cast<const float*>(y.data)[999], 7);
    inlay_session_release(session);
    EXPECT_EQ(released, 1);
    released = 0;
    EXPECT_EQ(inlay_model_load_memory(at, bytes.size() / 2, release, &released, nullptr, &model), INLAY_INVALID_MODEL);
    EXPECT_EQ(released, 1);
  }
}

TEST(Api, StatesAreTheSessionsOrTheCallers) {
  const inlay::Model model = model_of(accumulator(), {.states = {{"past", "sum"}}});
  const std::vector<float> x{1, 10}, past{5, 5};
  inlay::Session own(model), manual(model, {.manual_states = true});
  for (int i = 1; i <= 3; ++i) EXPECT_THAT(floats(own.run({{"x", inlay::view(x, {2})}})["sum"]), ElementsAre(i, 10 * i));
  own.set_input("past", inlay::view(past, {2}));
  EXPECT_THAT(floats(own.run()["sum"]), ElementsAre(6, 15));
  EXPECT_THAT(floats(own.run()["sum"]), ElementsAre(7, 25));
  own.reset_states();
  EXPECT_THAT(floats(own.run()["sum"]), ElementsAre(1, 10));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "'past'", manual.run({{"x", inlay::view(x, {2})}}));
  manual.set_input("past", inlay::view(past, {2}));
  for (int i = 0; i < 2; ++i) EXPECT_THAT(floats(manual.run()["sum"]), ElementsAre(6, 15));
}

TEST(Api, ValuesOfEveryKind) {
  using inlay::DType, inlay::Value;
  const inlay::Model model = model_of(strings_and_sequence());
  EXPECT_EQ(model.input(3).kind, INLAY_SEQUENCE);
  EXPECT_EQ(model.input(0).dtype, INLAY_STRING);
  inlay::Session session(model);
  const std::vector<float> x{1, 2};
  const Value a = Value::strings({"left", std::string("nul\0l", 5)}, {2}), b = Value::strings({"-right", ""}, {2});
  const Value list = Value::sequence(DType::f32, {Value::tensor(inlay::view(x, {2})), Value::tensor(inlay::view(x, {1, 2}))});
  session.set_input("a", a), session.set_input("b", b), session.set_input("list", list);
  session.run({{"x", inlay::view(x, {2})}});
  const Value joined = session.output_value("joined"), longer = session.output_value("longer");
  EXPECT_EQ(joined.string(0), "left-right");
  EXPECT_EQ(joined.string(1), std::string_view("nul\0l", 5));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "no element 2", joined.string(2));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "output_value", session.output("joined"));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "output_value", session.output("longer"));
  EXPECT_EQ(longer.kind(), INLAY_SEQUENCE);
  ASSERT_EQ(longer.count(), 3u);
  EXPECT_EQ(longer.item(1).tensor().shape(), (inlay::Shape{1, 2}));
  EXPECT_THAT(floats(longer.item(2).tensor()), ElementsAre(1, 2));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "no item 3", longer.item(3));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "sequence", longer.tensor());
  EXPECT_EQ(*session.output("length").as<int64_t>(), 2);
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "one dtype", Value::sequence(DType::f32, {a}));
  const Value some = Value::optional(DType::f32, list.item(0)), none = Value::optional(DType::f32);
  EXPECT_EQ(some.count(), 1u);
  EXPECT_EQ(none.count(), 0u);
  EXPECT_EQ(none.kind(), INLAY_OPTIONAL);
  const Value map = Value::map(a, Value::tensor(inlay::view(x, {2})));
  EXPECT_EQ(map.kind(), INLAY_MAP);
  EXPECT_EQ(map.item(0).string(0), "left");
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "keys", Value::map(list.item(0), a));
}

TEST(Api, RunsAsynchronously) {
  inlay::Session session(model_of(counter()));
  const std::vector<int64_t> trips{1000};
  const std::vector<float> start{0, 1};
  session.set_input("trips", inlay::view(trips, {})), session.set_input("start", inlay::view(start, {2}));
  session.run_async().get();
  session.wait();
  EXPECT_THAT(floats(session.output(0)), ElementsAre(1000, 1001));

  struct Chain {
    int left = 5;
    inlay_status worst = INLAY_OK;
    static void done(void* user, inlay_session* s, inlay_status status, const char*) {
      Chain& chain = *static_cast<Chain*>(user);
      inlay_tensor t;
      chain.worst = std::max({chain.worst, status, inlay_session_output(s, 0, &t)});
      chain.worst = std::max(chain.worst, inlay_status(inlay_session_wait(s) == INLAY_BUSY ? INLAY_OK : INLAY_INTERNAL));
      if (--chain.left) chain.worst = std::max(chain.worst, inlay_session_run_async(s, nullptr, done, user));
    }
  } chain;
  ASSERT_EQ(inlay_session_run_async(session.c(), nullptr, Chain::done, &chain), INLAY_OK);
  session.wait();
  EXPECT_EQ(chain.left, 0);
  EXPECT_EQ(chain.worst, INLAY_OK);
}

TEST(Api, CancelAndBusy) {
  inlay::Session session(model_of(counter()));
  const std::vector<int64_t> endless{int64_t{1} << 60}, few{3};
  const std::vector<float> start{0, 1};
  session.set_input("trips", inlay::view(endless, {})), session.set_input("start", inlay::view(start, {2}));
  for (int i = 0; i < 20; ++i) {  // a cancel right behind the start counts too
    auto done = session.run_async();
    if (i % 2) std::this_thread::sleep_for(1ms);
    EXPECT_FAILS(INLAY_BUSY, "asynchronous", session.output(0));
    EXPECT_FAILS(INLAY_BUSY, "asynchronous", session.run());
    session.cancel();
    EXPECT_FAILS(INLAY_CANCELLED, "repeat (Loop)", done.get());
    EXPECT_FAILS(INLAY_CANCELLED, "repeat (Loop)", session.wait());
  }
  EXPECT_FAILS(INLAY_TIMEOUT, "repeat (Loop)", session.run(20ms));
  session.cancel();  // nothing runs: nothing happens
  EXPECT_THAT(floats(session.run({{"trips", inlay::view(few, {})}})[0]), ElementsAre(3, 4));
  session.set_input("trips", inlay::view(endless, {}));
  session.run_async();
}  // is cancelled with its session

TEST(Api, TakesPictures) {
  Graph graph;
  const ValueId x = graph.add_input("x", f32_type({1, 3, 2, 2}));
  set_image(graph[x], parse_image_spec("bgr,scale:1,mean:1"));
  Rewriter r(graph);
  graph.outputs = {{"y", unary(r, UnaryKind::neg, x)}};
  inlay::Session session(model_of(graph));
  EXPECT_THAT(session.model().input(0).image, HasSubstr("bgr"));
  const uint8_t rows[2][8] = {{10, 20, 30, 11, 21, 31, 0, 0}, {12, 22, 32, 13, 23, 33, 0, 0}};
  inlay_picture picture{};
  picture.data = rows[0], picture.width = picture.height = 2, picture.stride = 8, picture.format = INLAY_RGB;
  session.set_picture("x", picture);
  EXPECT_THAT(floats(session.run()[0]), ElementsAre(-29, -30, -31, -32, -19, -20, -21, -22, -9, -10, -11, -12));
  const int64_t before = allocations;
  ASSERT_EQ(inlay_session_set_picture(session.c(), 0, &picture), INLAY_OK);
  EXPECT_EQ(allocations, before);
  picture.format = 17;
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "pixel format 17", session.set_picture("x", picture));
  picture.format = INLAY_RGB, picture.width = 3;
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "", session.set_picture("x", picture));
  inlay::Session without(model_of(two_outputs()));
  picture.width = 2;
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "x", without.set_picture("x", picture));
}

TEST(Api, CapsOfMemoryAndWork) {
  const File file(counter());
  const std::vector<int64_t> trips{100000};
  const std::vector<float> start{0, 1};
  inlay::Session session(inlay::Model::load(file.path(), {.max_work = 1e6}));
  session.set_input("start", inlay::view(start, {2}));
  EXPECT_FAILS(INLAY_LIMIT, "operations", session.run({{"trips", inlay::view(trips, {})}}));
  const File wide(two_outputs(), "wide.inlay");
  const std::vector<float> x(30000);
  inlay::Session small(inlay::Model::load(wide.path(), {.max_memory_bytes = 100000}));
  EXPECT_FAILS(INLAY_LIMIT, "100000", small.run({{0, inlay::view(x, {10000, 3})}}));
  small.run({{0, inlay::view(x.data(), {100, 3})}});
}

// y = x * by + how many names there are, with y's type told by infer or found by the run.
struct Scale {
  static inlay_status infer(void* user, inlay_node* node) {
    inlay_tensor x;
    EXPECT_EQ(inlay_node_input(node, 0, &x), INLAY_OK);
    EXPECT_EQ(x.data, nullptr);
    EXPECT_EQ(x.rank, 2);
    EXPECT_THAT(std::vector<int64_t>(x.shape, x.shape + 2), ElementsAre(testing::AnyOf(-1, 2, 4), 3));
    inlay_tensor absent;
    EXPECT_EQ(inlay_node_input_count(node), 3u);
    EXPECT_EQ(inlay_node_input(node, 1, &absent), INLAY_OK);
    EXPECT_EQ(absent.dtype, -1);
    EXPECT_EQ(inlay_node_input(node, 3, &absent), INLAY_INVALID_ARGUMENT);
    EXPECT_EQ(inlay_node_output(node, 0, INLAY_F32, x.shape, 2, &absent), INLAY_INVALID_ARGUMENT);
    ++*static_cast<int*>(user);
    return inlay_node_set_type(node, 0, x.dtype, x.shape, x.rank);
  }
  static inlay_status compute(void*, inlay_node* node) {
    double by = 0;
    const int64_t* ints = nullptr;
    const double* numbers = nullptr;
    const char* text = nullptr;
    size_t count = 0;
    EXPECT_EQ(inlay_node_float(node, "by", &by), INLAY_OK);
    EXPECT_EQ(inlay_node_ints(node, "pads", &ints, &count), INLAY_OK);
    EXPECT_THAT(std::vector(ints, ints + count), ElementsAre(1, 2));
    EXPECT_EQ(inlay_node_floats(node, "pads", &numbers, &count), INLAY_INVALID_ARGUMENT);
    EXPECT_THAT(inlay_error(), HasSubstr("'pads' is not a list of numbers"));
    EXPECT_EQ(inlay_node_int(node, "none", nullptr), INLAY_INVALID_ARGUMENT);
    EXPECT_EQ(inlay_node_string(node, "names", 1, &text, &count), INLAY_OK);
    EXPECT_EQ(std::string(text, count), "b");
    EXPECT_EQ(inlay_node_string(node, "names", 2, &text, &count), INLAY_INVALID_ARGUMENT);
    EXPECT_EQ(inlay_node_attribute_count(node, "none"), 0u);
    inlay_tensor x, absent, y;
    EXPECT_EQ(inlay_node_input(node, 0, &x), INLAY_OK);
    EXPECT_EQ(inlay_node_input(node, 1, &absent), INLAY_OK);
    EXPECT_EQ(absent.dtype, -1);
    if (static_cast<const float*>(x.data)[0] < 0) return inlay_node_fail(node, INLAY_LIMIT, "below zero");
    if (inlay_node_output(node, 0, x.dtype, x.shape, x.rank, &y)) return INLAY_INTERNAL;
    for (int64_t i = 0; i < x.shape[0] * x.shape[1]; ++i)
      static_cast<float*>(y.data)[i] = float(static_cast<const float*>(x.data)[i] * by) + float(inlay_node_attribute_count(node, "names"));
    return INLAY_OK;
  }
};

TEST(Api, RunsCustomOps) {
  Graph g;
  const ValueId x = g.add_input("x", f32_type({Dim::symbol("n"), 3}));
  Rewriter r(g);
  const schema::Custom op{"my.domain", "Scale", 1,
                          {{"by", 2.0}, {"pads", schema::Ints{1, 2}}, {"names", schema::Strings{"a", "b"}}}, {DType::f32}, 0};
  g.outputs = {{"y", unary(r, UnaryKind::neg, r.add(op, {x, ValueId::none, x}, {"node (Scale)"})[0])}};
  const File file(g);
  EXPECT_FAILS(INLAY_UNSUPPORTED, "custom op 'my.domain::Scale' of node", inlay::Session(inlay::Model::load(file.path())).run({{0, inlay::view(std::vector<float>(6), {2, 3})}}));
  int inferred = 0;
  for (const bool typed : {true, false}) {
    const inlay_custom_op scale{sizeof scale, "my.domain", "Scale", &inferred, typed ? Scale::infer : nullptr, Scale::compute};
    const inlay::Model model = inlay::Model::load(file.path(), {.custom_ops = {&scale}});
    inlay::Session session(model);
    for (int64_t n : {2, 4}) {
      std::vector<float> data(size_t(n) * 3, 1);
      EXPECT_THAT(floats(session.run({{"x", inlay::view(data, {n, 3})}})["y"]), testing::Each(-4));
      data[0] = -1;
      EXPECT_FAILS(INLAY_LIMIT, "node (Scale)", session.run({{"x", inlay::view(data, {n, 3})}}));
      EXPECT_FAILS(INLAY_LIMIT, "below zero", session.run());
    }
    EXPECT_GT(inferred, 0);
  }
  const inlay_custom_op other{sizeof other, "my.domain", "Other", nullptr, nullptr, Scale::compute};
  EXPECT_FAILS(INLAY_UNSUPPORTED, "my.domain::Scale", inlay::Model::load(file.path(), {.custom_ops = {&other}}));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "given twice", inlay::Model::load(file.path(), {.custom_ops = {&other, &other}}));
  const inlay_custom_op empty{sizeof empty, "my.domain", "Other", nullptr, nullptr, nullptr};
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "no compute function", inlay::Model::load(file.path(), {.custom_ops = {&empty}}));
}

TEST(Api, CustomOpsInBodiesInC) {
  const File file(custom_ops_in_if());
  EXPECT_EQ(custom_ops_in_c(file.path().c_str()), nullptr) << custom_ops_in_c(file.path().c_str());
}

struct Positive {
  static inlay_status compute(void*, inlay_node* node) {
    inlay_tensor x, y;
    if (inlay_node_input(node, 0, &x)) return INLAY_INTERNAL;
    std::vector<float> kept;
    std::copy_if(static_cast<const float*>(x.data), static_cast<const float*>(x.data) + x.shape[0], std::back_inserter(kept), [](float v) { return v > 0; });
    const auto count = int64_t(kept.size());
    if (inlay_node_output(node, 0, x.dtype, &count, 1, &y)) return INLAY_INTERNAL;
    std::copy(kept.begin(), kept.end(), static_cast<float*>(y.data));
    return INLAY_OK;
  }
};
struct Times {
  static inlay_status compute(void*, inlay_node* node) {
    inlay_tensor x, y;
    double by = 0;
    if (inlay_node_input(node, 0, &x) || inlay_node_float(node, "by", &by) || inlay_node_output(node, 0, x.dtype, x.shape, x.rank, &y)) return INLAY_INTERNAL;
    std::transform(static_cast<const float*>(x.data), static_cast<const float*>(x.data) + x.shape[0], static_cast<float*>(y.data), [=](float v) { return float(v * by); });
    return INLAY_OK;
  }
};

TEST(Api, CustomOpsInBodiesInCpp) {
  const File file(custom_ops_in_if());
  const inlay_custom_op times{sizeof times, "app", "Scale", nullptr, nullptr, Times::compute}, positive{sizeof positive, "app", "Positive", nullptr, nullptr, Positive::compute};
  const inlay::Error missing = error_of([&] { inlay::Model::load(file.path(), {.custom_ops = {&positive}}); });
  EXPECT_EQ(missing.status(), INLAY_UNSUPPORTED);
  EXPECT_THAT(missing.what(), testing::AllOf(HasSubstr("'app::Scale' of node twice (Scale)"), HasSubstr("ten (Scale)"), testing::Not(HasSubstr("Positive"))));
  const inlay::Model model = inlay::Model::load(file.path(), {.custom_ops = {&times, &positive}});
  inlay::Session session(model);
  for (const std::vector<float>& x : {std::vector<float>{1, -2, 3}, {-1}, {4, 5, -6, 7}, {1, -2, 3}})
    for (const bool yes : {true, false}) {
      std::vector<float> want;
      for (float v : x)
        if (yes || v > 0) want.push_back(-v * (yes ? 20 : 2));
      const uint8_t flag = yes;
      const inlay_tensor choice{const_cast<uint8_t*>(&flag), nullptr, 0, INLAY_BOOL};
      ASSERT_EQ(inlay_session_set_input(session.c(), 1, &choice), INLAY_OK);
      EXPECT_EQ(floats(session.run({{"x", inlay::view(x, {int64_t(x.size())})}})["y"]), want);
    }
}

TEST(Api, SessionsShareAPool) {
  const inlay::Pool pool(3);
  EXPECT_EQ(pool.threads(), 3);
  EXPECT_GE(inlay_pool_threads(nullptr), 1);
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "-1", inlay::Pool(-1));
  EXPECT_FAILS(INLAY_INVALID_ARGUMENT, "1000000", inlay::Pool(1000000));
  const inlay::Model model = model_of(two_outputs());
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      inlay::Session session(model, {.threads = 2, .pool = &pool});
      for (int i = 1; i <= 50; ++i) {
        const std::vector<float> x(size_t(3 * i), float(t));
        right += floats(session.run({{0, inlay::view(x, {i, 3})}})["s"]) == std::vector<float>(size_t(3 * i), float(2 * t));
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 200);
}

#if defined(__linux__)
TEST(Api, OneThreadIsTheCallers) {
  const auto threads = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); };
  const auto before = threads();
  inlay::Session session(model_of(two_outputs()), {.threads = 1});
  const std::vector<float> x{1, 2, 3};
  EXPECT_EQ(floats(session.run({{0, inlay::view(x, {1, 3})}})["s"]), (std::vector<float>{2, 4, 6}));
  EXPECT_EQ(threads(), before);
}
#endif

TEST(Api, TheProfilerSeesEverySteps) {
  inlay::Session session(model_of(two_outputs()));
  const std::vector<float> x{1, 2, 3};
  std::vector<std::string> seen;
  session.set_profiler([&](const inlay_step& step) {
    EXPECT_GE(step.time_ns, 0);
    EXPECT_STRNE(step.kernel, "");
    seen.push_back(cat(step.origins, " ", step.op));
  });
  session.run({{0, inlay::view(x, {1, 3})}});
  EXPECT_THAT(seen, ElementsAre("neg Unary", "add Binary"));
  session.set_profiler({});
  session.run();
  EXPECT_EQ(seen.size(), 2u);
}
}  // namespace
}  // namespace test
